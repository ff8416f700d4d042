import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'eventemitter3'
import { afterEach, describe, expect, it } from 'vitest'
import { Alerts } from './alerts.js'
import type { AlertsNews } from './events.js'
import type { WatchedComponent, WatchedNews } from './ports.js'
import type { AlertsOptions } from './options.js'
import type { Channel } from './channels/channel.js'
import { DeliveryError } from './errors.js'
import { OpsChannel } from './test-support/ops-channel.js'

const running: { alerts: Alerts; clock: FakeClock }[] = []

afterEach(async () => {
  for (const { alerts, clock } of running.splice(0)) {
    const stopped = alerts.stop()
    // A channel that hangs is given a moment.
    await clock.advance(1_000)
    await stopped
  }
})

async function begin(channels: Record<string, Channel>, options: Partial<AlertsOptions<string>> = {}) {
  const clock = new FakeClock()
  const alerts = new Alerts({ channels, path: false, clock, random: () => 0.5, ...options })
  running.push({ alerts, clock })
  const news: AlertsNews[] = []
  alerts.on('change', (each) => news.push(each))
  await alerts.start()
  return { alerts, clock, news }
}

const down = { name: 'database down', severity: 'CRITICAL', message: 'refused', labels: { component: 'db' } } as const

function sumOf({ delivered, merged, silenced, dead, lost, pending }: Alerts['accounting']): number {
  return delivered + merged + silenced + dead + lost + pending
}

describe('alerts', () => {
  it('tell of an alert once, of its repetition in short, and of its end', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    const alert = alerts.fire(down)
    for (let time = 0; time < 9_999; time++) alerts.fire(down)
    await clock.advance(120_000)
    expect(ops.told).toEqual(['firing database down', 'repeated database down'])
    expect(ops.messages[1]?.notices[0]?.count).toBe(9_999)
    expect([alert.isFiring, alert.count, alert.severity]).toEqual([true, 10_000, 'CRITICAL'])
    expect(alert.resolve('it is back')).toBe(true)
    await clock.advance(2_000)
    expect(ops.told.at(-1)).toBe('resolved database down')
    expect(ops.messages.at(-1)?.notices[0]?.message).toBe('it is back')
    const { accounting } = alerts
    expect(accounting).toMatchObject({ accepted: 10_002, delivered: 3, merged: 9_999, pending: 0 })
    expect(sumOf(accounting)).toBe(accounting.accepted)
  })

  it('tell together what comes together', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    for (let camera = 0; camera < 30; camera++) alerts.fire({ ...down, labels: { camera } })
    await clock.advance(2_000)
    expect(ops.messages).toHaveLength(1)
    expect(ops.messages[0]?.notices).toHaveLength(30)
  })

  it('tell apart what groupBy tells apart', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops }, { groupBy: ['region'] })
    for (const region of ['eu', 'us', 'eu'])
      alerts.fire({ ...down, labels: { region, host: alerts.accounting.accepted } })
    await clock.advance(4_000)
    const regions = ops.messages.map(({ notices }) => notices.map(({ labels }) => labels['region']).join())
    expect(regions).toEqual(['eu,eu', 'us'])
  })

  it('tell apart what groupBy tells apart, whatever the label is called', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops }, { groupBy: ['constructor'] })
    for (const value of ['a', 'b']) alerts.fire({ ...down, labels: { constructor: value } })
    await clock.advance(4_000)
    expect(ops.messages).toHaveLength(2)
  })

  it('end what nobody began without a word', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    expect(alerts.resolve('database down', { component: 'db' })).toBe(false)
    await clock.advance(10_000)
    expect([ops.told, alerts.accounting.accepted]).toEqual([[], 0])
  })

  it('report an error once, however often it is thrown', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    for (let user = 0; user < 500; user++)
      alerts.report(new TypeError(`no user ${user}`), { labels: { command: 'search' } })
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing TypeError'])
    expect(ops.messages[0]?.notices[0]?.labels).toMatchObject({ command: 'search' })
  })

  it('are short and whole, whatever is handed in, and hide a secret where a text is cut', async () => {
    const secret = 'correct horse battery staple'
    const ops = Object.assign(new OpsChannel(), { secrets: () => [secret] })
    const { alerts, clock } = await begin({ ops })
    const huge = `\ud83d${' '.repeat(19_980)}${secret.repeat(1e5)}`
    alerts.fire({
      name: `name ${huge}`,
      severity: 'INFO',
      message: `message ${huge}`,
      labels: { label: `label ${huge}` },
    })
    await clock.advance(2_000)
    const text = JSON.stringify(ops.messages)
    expect(text).toContain('message \ufffd')
    expect(text).not.toContain('correct')
    expect(text.length).toBeLessThan(5_000)
  })

  it('send what was raised before the start', async () => {
    const ops = new OpsChannel()
    const clock = new FakeClock()
    const alerts = new Alerts({ channels: { ops }, path: false, clock })
    running.push({ alerts, clock })
    alerts.fire(down)
    alerts.fire(down)
    alerts.fire({ ...down, name: 'other' })
    alerts.resolve('other', { component: 'db' })
    await alerts.start()
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing database down', 'firing other', 'resolved other'])
    expect(alerts.accounting).toMatchObject({ accepted: 4, delivered: 3, merged: 1 })
  })

  it.each([
    ['no name', { ...down, name: ' ' }],
    ['a severity that does not exist', { ...down, severity: 'FATAL' }],
    ['a label that is an object', { ...down, labels: { a: {} } }],
    ['a label that is taken', { ...down, labels: { severity: 'x' } }],
    ['no message', { name: 'a', severity: 'INFO' }],
    ['nothing', undefined],
  ])('refuse an alert with %s', async (_, input) => {
    const { alerts } = await begin({ ops: new OpsChannel() })
    expect(() => alerts.fire(input as never)).toThrow(TypeError)
    expect(alerts.accounting.accepted).toBe(0)
  })
})

describe('routing', () => {
  it('goes by severity and labels; what fits nowhere goes to the fallback', async () => {
    const [ops, mail, log] = [new OpsChannel(), new OpsChannel(), new OpsChannel()]
    const routes = [
      { matching: { component: 'billing' }, to: ['mail'] },
      { severity: 'CRITICAL' as const, to: ['ops', 'mail'] },
      { severity: 'WARNING' as const, to: ['ops'] },
    ]
    const { alerts, clock } = await begin({ ops, mail, log }, { routes, fallback: 'log' })
    alerts.fire({ ...down, name: 'critical' })
    alerts.fire({ ...down, name: 'warning', severity: 'WARNING' })
    alerts.fire({ ...down, name: 'info', severity: 'INFO' })
    alerts.fire({ ...down, name: 'bill', labels: { component: 'billing' } })
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing critical', 'firing warning'])
    expect(mail.told).toEqual(['firing critical', 'firing bill'])
    expect(log.told).toEqual(['firing info'])
  })

  it('goes on after a route that says so', async () => {
    const [ops, mail] = [new OpsChannel(), new OpsChannel()]
    const routes = [{ to: ['ops'], continue: true }, { to: ['mail'] }]
    const { alerts, clock } = await begin({ ops, mail }, { routes })
    alerts.fire(down)
    await clock.advance(2_000)
    expect([ops.told, mail.told]).toEqual([['firing database down'], ['firing database down']])
  })

  it('respects the filter of each channel, and of the fallback too', async () => {
    const ops = new OpsChannel({ filter: { severity: 'CRITICAL' } })
    const log = new OpsChannel({ filter: ({ labels }) => labels['component'] !== 'noise' })
    const { alerts, clock } = await begin({ ops, log }, { routes: [{ to: ['ops'] }], fallback: 'log' })
    alerts.fire(down)
    alerts.fire({ ...down, name: 'warning', severity: 'WARNING' })
    alerts.fire({ ...down, name: 'noise', severity: 'INFO', labels: { component: 'noise' } })
    await clock.advance(2_000)
    expect([ops.told, log.told]).toEqual([['firing database down'], ['firing warning']])
    expect(alerts.accounting).toMatchObject({ accepted: 3, delivered: 2, silenced: 1 })
  })

  it.each([
    ['a route to nowhere', { routes: [{ to: ['nowhere'] }] }],
    ['a route without a channel', { routes: [{ to: [] }] }],
    ['a fallback that is no channel', { fallback: 'nowhere' }],
    ['an option that does not exist', { grouping: 1 }],
    ['no path', { path: undefined }],
    ['an empty path', { path: '' }],
    ['a duration that is none', { digestMs: '1 s' }],
    ['a label to group by that is in no list', { groupBy: 'region' }],
    ['a route that looks for a number', { routes: [{ to: ['ops'], matching: { shard: 3 } }] }],
    [
      'a filter with a severity that does not exist',
      { channels: { ops: new OpsChannel({ filter: { severity: 'FATAL' } as never }) } },
    ],
    ['a filter with something else in it', { channels: { ops: new OpsChannel({ filter: { labels: {} } as never }) } }],
    ['a channel called spool', { channels: { spool: new OpsChannel() } }],
    ['a channel that cannot send', { channels: { ops: {} } }],
  ])('refuses %s at once', (_, options) => {
    expect(() => new Alerts({ channels: { ops: new OpsChannel() }, path: false, ...options } as never)).toThrow(
      TypeError,
    )
  })

  it.each([{ digestMs: -1 }, { flapChanges: 2 }, { maxPending: 0 }, { repeatMs: Number.NaN }])(
    'refuses %j',
    (options) => {
      expect(() => new Alerts({ channels: {}, path: false, ...options })).toThrow(RangeError)
    },
  )
})

describe('a silence', () => {
  it('keeps people from hearing, and is over by itself', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    const silence = alerts.silence({
      matching: { component: ['db', 'cache'] },
      forMs: 600_000,
      why: 'moving',
      by: 'ann',
    })
    alerts.fire(down)
    alerts.fire({ ...down, name: 'other', labels: { component: 'api' } })
    await clock.advance(599_000)
    expect(ops.told).toEqual(['firing other'])
    expect(alerts.silences).toEqual([silence])
    await clock.advance(5_000)
    expect(ops.told).toEqual(['firing other', 'firing database down'])
    expect(alerts.silences).toEqual([])
    expect(sumOf(alerts.accounting)).toBe(alerts.accounting.accepted)
  })

  it('that is over is followed by the end of what people had heard of before it, however long it held', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    alerts.fire(down)
    await clock.advance(2_000)
    alerts.silence({ matching: { component: 'db' }, forMs: 3_600_000, why: 'moving', by: 'ann' })
    for (let time = 0; time < 2; time++) {
      alerts.resolve('database down', { component: 'db' })
      await clock.advance(60_000)
      alerts.fire(down)
    }
    alerts.resolve('database down', { component: 'db' })
    await clock.advance(3_000_000)
    expect(ops.told).toEqual(['firing database down'])
    await clock.advance(600_000)
    expect(ops.told.slice(1)).toEqual(['resolved database down'])
    await clock.advance(86_400_000)
    expect(ops.told).toHaveLength(2)
    expect(sumOf(alerts.accounting)).toBe(alerts.accounting.accepted)
  })

  it('that is over is followed by what became more urgent meanwhile', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    alerts.fire({ ...down, severity: 'WARNING' })
    await clock.advance(2_000)
    const { id } = alerts.silence({ matching: { component: 'db' }, forMs: 3_600_000, why: 'moving', by: 'ann' })
    alerts.fire(down)
    await clock.advance(2_000)
    expect(ops.messages).toHaveLength(1)
    alerts.unsilence(id)
    await clock.advance(2_000)
    expect(ops.messages[1]?.notices).toMatchObject([{ kind: 'firing', severity: 'CRITICAL' }])
  })

  it('can be ended early, and what ended meanwhile is not told', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    const { id } = alerts.silence({ matching: { severity: 'CRITICAL' }, forMs: 600_000, why: 'moving', by: 'ann' })
    alerts.fire(down)
    const other = alerts.fire({ ...down, name: 'other' })
    other.resolve()
    expect([alerts.unsilence(id), alerts.unsilence(id)]).toEqual([true, false])
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing database down'])
    expect(alerts.accounting).toMatchObject({ silenced: 3, delivered: 1, accepted: 4 })
  })

  it.each([
    [{ matching: {}, forMs: 1, why: 'a', by: 'b' }, TypeError],
    [{ matching: { a: 'b' }, forMs: 0, why: 'a', by: 'b' }, RangeError],
    [{ matching: { a: 'b' }, forMs: Infinity, why: 'a', by: 'b' }, RangeError],
    [{ matching: { a: 7 }, forMs: 1, why: 'a', by: 'b' }, TypeError],
    [{ matching: { a: 'b' }, forMs: 1, why: '', by: 'b' }, TypeError],
    [{ matching: { a: 'b' }, forMs: 1, why: 'a' }, TypeError],
  ])('is refused as %j', async (input, error) => {
    const { alerts } = await begin({ ops: new OpsChannel() })
    expect(() => alerts.silence(input as never)).toThrow(error)
  })
})

describe('a channel that fails', () => {
  const outage = () => {
    throw new Error('ECONNREFUSED')
  }

  it('is tried again, later each time, and gets everything in order when it is back', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops }, { fallbackAfterMs: 3_600_000 })
    ops.answer = outage
    for (let minute = 0; minute < 10; minute++) {
      alerts.fire({ ...down, name: `alert ${minute}` })
      await clock.advance(60_000)
    }
    expect(ops.told).toEqual([])
    expect(ops.tries.length).toBeLessThan(25)
    expect(new Set(ops.tries.map(({ id }) => id)).size).toBe(1)
    ops.answer = () => undefined
    await clock.advance(63_000)
    expect(ops.told.filter((told) => told !== 'repeated database down')).toEqual(
      Array.from({ length: 10 }, (_, minute) => `firing alert ${minute}`),
    )
    expect(ops.messages).toHaveLength(2)
  })

  it('becomes down, tells the others, never itself, and works again', async () => {
    const [ops, mail] = [new OpsChannel(), new OpsChannel()]
    const { alerts, clock, news } = await begin({ ops, mail })
    ops.answer = outage
    alerts.fire(down)
    await clock.advance(20_000)
    expect(alerts.components.get('ops')).toMatchObject({ status: 'down', reason: 'ECONNREFUSED' })
    expect(alerts.status).toBe('degraded')
    expect(mail.told).toEqual(['firing database down', 'firing alert channel down'])
    ops.answer = () => undefined
    await clock.advance(60_000)
    expect(ops.told).toEqual(['firing database down'])
    expect(mail.told.at(-1)).toBe('resolved alert channel down')
    expect(news.filter(({ what }) => what === 'ops').map(({ to }) => to)).toEqual(['degraded', 'down', 'up'])
    expect(news.at(-1)?.message).toBe('Alerts went from degraded to up: ops is up.')
  })

  it('is told of on the fallback when every other is down too, and nothing goes round in circles', async () => {
    const [ops, mail, log] = [new OpsChannel(), new OpsChannel(), new OpsChannel()]
    const { alerts, clock } = await begin({ ops, mail, log }, { routes: [{ to: ['ops', 'mail'] }], fallback: 'log' })
    ops.answer = outage
    mail.answer = outage
    alerts.fire(down)
    await clock.advance(3_600_000)
    const about = log.messages.flatMap(({ notices }) =>
      notices.map(({ name, labels }) => `${name} ${labels['channel'] ?? ''}`),
    )
    expect(about.sort()).toEqual(['alert channel down mail', 'alert channel down ops', 'database down '])
    expect(ops.tries.every(({ notices }) => notices.every(({ labels }) => labels['channel'] !== 'ops'))).toBe(true)
    expect(alerts.accounting.accepted).toBeLessThan(10)
  })

  it('is replaced by the fallback after a while, for what nobody else was told', async () => {
    const [ops, log] = [new OpsChannel(), new OpsChannel()]
    const { alerts, clock } = await begin({ ops, log }, { routes: [{ to: ['ops'] }], fallback: 'log' })
    ops.answer = outage
    alerts.fire(down)
    await clock.advance(59_000)
    expect(log.told).toEqual(['firing alert channel down'])
    await clock.advance(5_000)
    expect(log.told).toEqual(['firing alert channel down', 'firing database down'])
    ops.answer = () => undefined
    await clock.advance(60_000)
    expect(ops.told).toEqual(['firing database down'])
  })

  it('is waited for as long as it asks, by the whole queue', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    ops.answer = () => {
      throw new DeliveryError('too many messages', { retryable: true, retryAfterMs: 30_000 })
    }
    alerts.fire(down)
    await clock.advance(2_000)
    for (let n = 0; n < 20; n++) alerts.fire({ ...down, name: `alert ${n}` })
    await clock.advance(29_000)
    expect(ops.tries).toHaveLength(1)
    expect(alerts.components.get('ops')?.status).toBe('degraded')
    ops.answer = () => undefined
    await clock.advance(2_000)
    expect(ops.told).toHaveLength(21)
  })

  it('that refuses one alert gets the others, and the fallback gets the one', async () => {
    const [ops, log] = [new OpsChannel(), new OpsChannel()]
    const { alerts, clock } = await begin({ ops, log }, { routes: [{ to: ['ops'] }], fallback: 'log' })
    ops.answer = ({ notices }) => {
      if (notices.some(({ name }) => name === 'poison')) {
        throw new DeliveryError('answered 400', { retryable: false, scope: 'message' })
      }
      return undefined
    }
    for (const name of ['a', 'poison', 'b']) alerts.fire({ ...down, name })
    const dead: string[] = []
    alerts.on('dead', ({ notices }) => dead.push(...notices.map(({ name }) => name)))
    await clock.advance(4_000)
    expect([ops.told, log.told, dead]).toEqual([['firing a', 'firing b'], ['firing poison'], ['poison']])
    expect(alerts.accounting).toMatchObject({ accepted: 3, delivered: 3, dead: 0, pending: 0 })
  })

  it('that refuses one different alert after the other is down, and each goes to the fallback', async () => {
    const [ops, log] = [new OpsChannel(), new OpsChannel()]
    const { alerts, clock } = await begin({ ops, log }, { routes: [{ to: ['ops'] }], fallback: 'log' })
    const refuse = () => {
      throw new DeliveryError('answered 400', { retryable: false, scope: 'message' })
    }
    const statuses: (string | undefined)[] = []
    const tell = async (...names: string[]) => {
      for (const name of names) alerts.fire({ ...down, name })
      await clock.advance(5_000)
      statuses.push(alerts.components.get('ops')?.status)
    }
    await tell('well')
    ops.answer = refuse
    for (let time = 0; time < 5; time++) {
      alerts.resolve('bad', { component: 'db' })
      await tell('bad')
    }
    await tell('b')
    expect(statuses).toEqual(Array.from({ length: 7 }, () => 'up'))
    await tell('c')
    expect(alerts.components.get('ops')).toMatchObject({ status: 'down', reason: 'answered 400' })
    expect(log.told.slice(-3)).toEqual(['firing b', 'firing c', 'firing alert channel down'])
    ops.answer = () => undefined
    await tell('well again')
    expect([statuses.at(-1), ops.told.at(-1)]).toEqual(['up', 'firing well again'])
    ops.answer = refuse
    await tell('d', 'e')
    expect([statuses.at(-1), alerts.accounting.pending]).toEqual(['up', 0])
    await tell('f')
    expect(statuses.at(-1)).toBe('down')
  })

  it('that refuses one of a thousand finds it by halves, not one by one', async () => {
    const [ops, log] = [new OpsChannel({}, true, 10), new OpsChannel()]
    const { alerts, clock } = await begin({ ops, log }, { routes: [{ to: ['ops'] }], fallback: 'log' })
    ops.answer = ({ notices }) => {
      if (notices.some(({ name }) => name === 'alert 637')) {
        throw new DeliveryError('answered 400', { retryable: false, scope: 'message' })
      }
      return undefined
    }
    for (let n = 0; n < 1_000; n++) alerts.fire({ ...down, name: `alert ${n}` })
    await clock.advance(10_000)
    expect(log.told).toEqual(['firing alert 637'])
    expect(ops.tries.length).toBeLessThan(25)
    expect(alerts.accounting).toMatchObject({ accepted: 1_000, dead: 0, pending: 0 })
  })

  it('for a whole day does not get what has expired', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops }, { fallback: 'ops', routes: [{ to: ['ops'] }] })
    ops.answer = outage
    alerts.fire({ ...down, severity: 'INFO' })
    await clock.advance(86_400_000 + 120_000)
    expect(alerts.accounting).toMatchObject({ dead: 1, pending: 0 })
    expect(sumOf(alerts.accounting)).toBe(alerts.accounting.accepted)
  })

  it('that hangs is given up at its deadline, and its late answer is ignored', async () => {
    const ops = new OpsChannel({ timeoutMs: 5_000 })
    let answerLate: () => void = () => undefined
    let wasAborted = false
    const { alerts, clock } = await begin({ ops })
    ops.answer = async (_, signal) => {
      signal.addEventListener('abort', () => (wasAborted = true))
      await new Promise<void>((resolve) => (answerLate = resolve))
      return undefined
    }
    alerts.fire(down)
    await clock.advance(7_500)
    expect(wasAborted).toBe(true)
    expect(alerts.components.get('ops')).toMatchObject({ status: 'degraded', reason: 'no answer within 5000 ms' })
    const late = answerLate
    ops.answer = () => undefined
    await clock.advance(5_000)
    late()
    await clock.advance(5_000)
    expect(alerts.accounting).toMatchObject({ delivered: 1, pending: 0 })
  })

  it.each([
    [
      'throws at once',
      () => {
        throw new Error('no')
      },
    ],
    ['rejects with nothing', () => Promise.reject(undefined as unknown as Error)],
    [
      'rejects with what throws when it is read',
      () =>
        Promise.reject(
          new Proxy(new Error('x'), {
            get: () => {
              throw new Error('y')
            },
          }),
        ),
    ],
  ])('and %s is tried again', async (_, send) => {
    let tries = 0
    const { alerts, clock } = await begin({
      ops: { send: () => (++tries === 1 ? send() : Promise.resolve()) },
    })
    alerts.fire(down)
    await clock.advance(10_000)
    expect([tries, alerts.accounting.delivered]).toEqual([2, 1])
  })

  it('keeps no other from telling', async () => {
    const [ops, mail] = [new OpsChannel(), new OpsChannel()]
    const { alerts, clock } = await begin({ ops, mail })
    ops.answer = () => new Promise(() => undefined)
    alerts.fire(down)
    await clock.advance(2_000)
    expect(mail.told).toEqual(['firing database down'])
  })
})

describe('too much', () => {
  it('waits for the channel to have room, and is told as one digest', async () => {
    const ops = new OpsChannel({ maxPerMinute: 2 }, true, 10)
    const { alerts, clock } = await begin({ ops }, { groupWaitMs: 0 })
    for (let n = 0; n < 200; n++) {
      alerts.fire({ ...down, name: `alert ${n}` })
      await clock.advance(100)
    }
    await clock.advance(60_000)
    expect(ops.messages.length).toBeLessThanOrEqual(4)
    expect(ops.messages.some(({ isDigest }) => isDigest)).toBe(true)
    const { accounting } = alerts
    expect(accounting).toMatchObject({ accepted: 200, pending: 0, dead: 0 })
    expect(accounting.delivered + accounting.merged).toBe(200)
    expect(accounting.merged).toBeGreaterThan(100)
  })

  it('for the memory goes to the dead letters, the least urgent first', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops }, { maxPending: 100, fallback: 'ops' })
    ops.answer = () => new Promise(() => undefined)
    const dead: string[] = []
    alerts.on('dead', ({ notices }) => dead.push(...notices.map(({ severity }) => severity)))
    for (let n = 0; n < 1_000; n++) {
      alerts.fire({ ...down, name: `alert ${n}`, severity: n % 2 === 0 ? 'INFO' : 'CRITICAL' })
      await clock.advance(0)
    }
    const { accounting } = alerts
    expect(accounting.pending).toBeLessThanOrEqual(101)
    expect(sumOf(accounting)).toBe(accounting.accepted)
    expect(dead.filter((severity) => severity === 'INFO')).toHaveLength(500)
  })
})

describe('a channel that hangs with a full message in its hands', () => {
  it('does not let the memory grow', async () => {
    const ops = new OpsChannel({ timeoutMs: 86_400_000 })
    const { alerts, clock } = await begin({ ops }, { maxPending: 200, fallback: 'ops' })
    ops.answer = () => new Promise(() => undefined)
    for (let n = 0; n < 100; n++) alerts.fire({ ...down, name: `first ${n}` })
    await clock.advance(2_000)
    // All in one turn of the event loop, so that nothing can be put away meanwhile.
    for (let n = 0; n < 2_000; n++) alerts.fire({ ...down, name: `alert ${n}` })
    await clock.advance(0)
    expect(alerts.accounting.pending).toBeLessThanOrEqual(202)
    expect(sumOf(alerts.accounting)).toBe(alerts.accounting.accepted)
  })
})

describe('watching', () => {
  class Source extends EventEmitter<{ change: [news: WatchedNews] }> {
    readonly components?: ReadonlyMap<string, WatchedComponent>

    constructor(
      readonly name: string,
      components?: ReadonlyMap<string, WatchedComponent>,
    ) {
      super()
      if (components !== undefined) this.components = components
    }
  }

  it('begins with bad news, and ends with good news', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    const health = new Source('Monitor')
    const off = alerts.watch(health)
    health.emit('change', { what: 'database', to: 'down', severity: 'CRITICAL', message: 'database went down.' })
    await clock.advance(2_000)
    health.emit('change', { what: 'database', to: 'up', severity: 'INFO', message: 'database is up.' })
    health.emit('change', { what: 'cache', to: 'up', severity: 'INFO', message: 'cache is up.' })
    for (const nonsense of [undefined, null, 7, {}, { what: 'x' }]) health.emit('change', nonsense as never)
    await clock.advance(2_000)
    off()
    off()
    health.emit('change', { what: 'database', to: 'down', severity: 'CRITICAL', message: 'database went down.' })
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing database', 'resolved database'])
    expect(ops.messages[1]?.notices[0]).toMatchObject({
      message: 'database is up.',
      labels: { component: 'database', source: 'Monitor' },
    })
  })

  it('tells of what is wrong already, and not twice of the whole', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    const components = new Map<string, WatchedComponent>([
      ['database', { status: 'down', reason: 'refused' }],
      ['translate', { status: 'down', reason: 'refused', critical: false }],
      ['disk', { status: 'up', reason: 'ok' }],
      ['later', { status: 'unknown', reason: 'not looked at' }],
    ])
    const health = new Source('Monitor', components)
    alerts.watch(health)
    health.emit('change', { what: 'health', to: 'down', severity: 'CRITICAL', message: 'Health went down.' })
    await clock.advance(2_000)
    const told = ops.messages.flatMap(({ notices }) => notices.map(({ name, severity }) => `${severity} ${name}`))
    expect(told).toEqual(['CRITICAL database', 'WARNING translate'])
  })

  it('tells parts of one class apart, and gives a part that takes the place of another its name', async () => {
    class Monitor extends EventEmitter<{ change: [news: WatchedNews] }> {}
    const bad = { what: 'database', severity: 'CRITICAL', message: 'database went down.' } as const
    const good = { what: 'database', severity: 'INFO', message: 'database is up.' } as const
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    const [eu, us, again] = [new Monitor(), new Monitor(), new Monitor()]
    alerts.watch(eu)
    const off = alerts.watch(us)
    eu.emit('change', bad)
    us.emit('change', bad)
    us.emit('change', good)
    await clock.advance(2_000)
    const told = () =>
      ops.messages.flatMap(({ notices }) => notices.map(({ kind, labels }) => `${kind} ${labels['source']}`))
    expect(told()).toEqual(['firing Monitor', 'firing Monitor 2', 'resolved Monitor 2'])
    off()
    off()
    alerts.watch(again, us)
    again.emit('change', bad)
    us.emit('change', bad)
    await clock.advance(2_000)
    expect(told().slice(3)).toEqual(['firing Monitor 2', 'firing Monitor 3'])
  })

  it('calls a part that is watched twice the same, for as long as it is watched', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    const [flags, others] = [new Source('flags'), new Source('flags')]
    const off = alerts.watch(flags)
    alerts.watch(flags)
    off()
    alerts.watch(others)
    for (const each of [flags, others]) {
      each.emit('change', { what: 'rollout', severity: 'WARNING', message: 'The rollout was stopped.' })
    }
    await clock.advance(2_000)
    expect(ops.messages[0]?.notices.map(({ labels }) => labels['source'])).toEqual(['flags', 'flags 2'])
  })

  it('tells of good news that ends nothing only when asked to', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops }, { watchInfo: true })
    const flags = new Source('flags')
    alerts.watch(flags)
    flags.emit('change', { what: 'rollout', severity: 'INFO', message: 'The rollout goes on to 50 %.' })
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing rollout'])
  })

  it('refuses what has no events, and itself', async () => {
    const { alerts } = await begin({ ops: new OpsChannel() })
    expect(() => alerts.watch({} as never)).toThrow(TypeError)
    expect(() => alerts.watch(alerts)).toThrow(/themselves/)
  })
})

describe('an alert that is raised by telling', () => {
  it('never goes to the channel that raised it', async () => {
    const [ops, mail] = [new OpsChannel(), new OpsChannel()]
    const { alerts, clock } = await begin({ ops, mail })
    let depth = 0
    ops.answer = () => {
      depth++
      alerts.report(new Error('the logger of the channel failed'))
      throw new Error('no')
    }
    alerts.on('change', ({ what, message }) => void (what === 'ops' && alerts.fire({ ...down, name: 'hook', message })))
    alerts.fire(down)
    await clock.advance(3_600_000)
    const toOps = ops.tries.flatMap(({ notices }) => notices.map(({ name }) => name))
    expect(new Set(toOps)).toEqual(new Set(['database down']))
    expect(new Set(mail.told.map((told) => told.split(' ')[1]))).toContain('Error')
    expect(depth).toBeLessThan(100)
    expect(alerts.accounting.accepted).toBeLessThan(150)
    // Nor when it works again, and takes what waited behind the first.
    ops.answer = () => {
      alerts.report(new Error('the logger of the channel failed'))
      return undefined
    }
    await clock.advance(3_600_000)
    expect(new Set(ops.told.map((told) => told.split(' ').slice(1).join(' ')))).toEqual(new Set(['database down']))
  })
})

describe('life', () => {
  it('flushes what is pending, at once', async () => {
    const ops = new OpsChannel()
    const { alerts } = await begin({ ops }, { groupWaitMs: 60_000 })
    alerts.fire(down)
    expect(await alerts.flush()).toEqual({ pending: 0 })
    expect(ops.told).toEqual(['firing database down'])
  })

  it('drains no longer than it may', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    ops.answer = () => new Promise(() => undefined)
    alerts.fire(down)
    let isDrained = false
    const drained = alerts.drain().then(() => (isDrained = true))
    await clock.advance(2_999)
    expect(isDrained).toBe(false)
    await clock.advance(1)
    await drained
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('close')
      },
    ],
    ['rejects', () => Promise.reject(new Error('close'))],
    ['hangs', () => new Promise<void>(() => undefined)],
  ])('stops although closing a channel %s', async (_, close) => {
    const { alerts, clock } = await begin({ ops: { send: () => Promise.resolve(), close } })
    const stopped = alerts.stop()
    await clock.advance(1_000)
    await stopped
    expect(clock.pending).toBe(0)
  })

  it('lets nobody who flushes wait for what will not be sent any more', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    ops.answer = () => new Promise(() => undefined)
    alerts.fire(down)
    const flushed = alerts.flush({ timeoutMs: 3_600_000 })
    await clock.advance(0)
    const stopped = alerts.stop()
    await clock.advance(1_000)
    await stopped
    expect(await flushed).toEqual({ pending: 1 })
  })

  it('counts what there is no room for before the start', async () => {
    const ops = new OpsChannel()
    const clock = new FakeClock()
    const alerts = new Alerts({ channels: { ops }, path: false, clock })
    running.push({ alerts, clock })
    const warned = new Promise((resolve) => process.once('warning', resolve))
    for (let n = 0; n < 1_005; n++) alerts.fire({ ...down, name: `alert ${n}` })
    expect(alerts.resolve('alert 3', { component: 'db' })).toBe(true)
    await alerts.start()
    expect(await warned).toMatchObject({ code: 'EVENKEEL_ALERTS_LOST' })
    expect(alerts.accounting).toMatchObject({ accepted: 1_006, lost: 5 })
    expect(sumOf(alerts.accounting)).toBe(1_006)
    expect(alerts.fire({ ...down, name: 'alert 3' }).count).toBe(1)
  })

  it('keeps to a silence that was ended before the start, or after the stop', async () => {
    const ops = new OpsChannel()
    const clock = new FakeClock()
    const alerts = new Alerts({ channels: { ops }, path: false, clock })
    running.push({ alerts, clock })
    const quiet = { matching: { component: 'db' }, forMs: 3_600_000, why: 'moving', by: 'ann' }
    const { id } = alerts.silence(quiet)
    expect(alerts.silences).toHaveLength(1)
    expect([alerts.unsilence(id), alerts.unsilence(id), alerts.silences]).toEqual([true, false, []])
    await alerts.start()
    const again = alerts.silence(quiet)
    alerts.fire(down)
    await alerts.stop()
    expect(alerts.unsilence(again.id)).toBe(true)
    expect(clock.pending).toBe(0)
    await alerts.start()
    await clock.advance(4_000)
    expect(ops.told).toEqual(['firing database down'])
  })

  it('starts and stops twice, and leaves no timer behind', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    await alerts.start()
    alerts.fire(down)
    await alerts.stop()
    await alerts.stop()
    expect(clock.pending).toBe(0)
    expect(ops.tries).toEqual([])
    await alerts.start()
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing database down'])
  })

  it('is not moved by a clock that is set back or forward', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    alerts.fire(down)
    clock.jump(-3_600_000)
    await clock.advance(2_000)
    expect(ops.told).toEqual(['firing database down'])
    clock.jump(86_400_000)
    await clock.advance(60_000)
    expect(ops.told).toEqual(['firing database down'])
    expect(alerts.accounting.pending).toBe(0)
  })

  it('survives listeners that throw', async () => {
    const ops = new OpsChannel()
    const { alerts, clock } = await begin({ ops })
    alerts.on('delivered', () => {
      throw new Error('listener')
    })
    const warned = new Promise((resolve) => process.once('warning', resolve))
    alerts.fire(down)
    await clock.advance(2_000)
    expect(await warned).toMatchObject({ code: 'EVENKEEL_LISTENER' })
    expect(alerts.accounting.delivered).toBe(1)
  })

  it('is a health source with a component for each channel and the spool', async () => {
    const { alerts, clock } = await begin({ ops: new OpsChannel() })
    expect([...alerts.components.keys()]).toEqual(['ops', 'console', 'spool'])
    expect(alerts.status).toBe('unknown')
    alerts.fire(down)
    await clock.advance(2_000)
    expect(alerts.status).toBe('up')
  })
})
