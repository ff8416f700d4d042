import { FakeClock } from '@evenkeel/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { CheckOutcome, HealthCheck } from './check-result.js'
import { CheckAbandonedError, CheckTimeoutError } from './errors.js'
import type { HealthChange } from './events.js'
import { HealthMonitor } from './health-monitor.js'
import type { CheckOptions } from './options.js'
import { BlockableClock } from './test-support/blockable-clock.js'
import { seeded } from './test-support/seeded.js'

/** Looks come at full intervals. */
const steady = { random: () => 0 } as const

/** A component that is as the test says. */
function patient(outcome: () => CheckOutcome | Promise<CheckOutcome> = () => true) {
  const it = {
    is: outcome,
    looks: 0,
    check: (): CheckOutcome | Promise<CheckOutcome> => {
      it.looks++
      return it.is()
    },
  }
  return it
}

/** A check that never settles, whatever its signal says. */
function hangs() {
  return new Promise<never>(() => {})
}

/** One critical component named `db`, watched, and everything that was told. */
async function watch(check: HealthCheck, options: Partial<CheckOptions<'db'>> = {}) {
  const clock = new FakeClock()
  const health = new HealthMonitor({ checks: { db: { check, ...options } }, clock, ...steady })
  const news: HealthChange<'db'>[] = []
  health.on('change', (change) => news.push(change))
  await health.start()
  await clock.advance(0)
  const told = (what: 'db' | 'health'): string[] => news.filter((change) => change.what === what).map(({ to }) => to)
  return { clock, health, news, told, db: () => health.components.get('db') }
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('before and after its life', () => {
  it('knows nothing until it is started or asked', () => {
    const clock = new FakeClock(7_000)
    const db = patient()
    const health = new HealthMonitor({ checks: { db: { check: db.check } }, clock })
    expect(health.status).toBe('unknown')
    expect(health.components.get('db')).toEqual({
      status: 'unknown',
      reason: 'not checked yet',
      since: 7_000,
      observedAt: undefined,
      tookMs: undefined,
      critical: true,
    })
    expect([db.looks, clock.pending]).toEqual([0, 0])
  })

  it('answers after one look, without being started', async () => {
    const clock = new FakeClock()
    const health = new HealthMonitor({ checks: { db: { check: () => true }, api: { check: () => false } }, clock })
    expect(await health.checkNow()).toEqual(
      new Map([
        ['db', { status: 'up', reason: 'ok' }],
        ['api', { status: 'down', reason: 'the check returned false' }],
      ]),
    )
    expect(health.status).toBe('down')
    expect(clock.pending).toBe(0)
  })

  it('says when it looked last, how long that took, and whether it matters', async () => {
    const clock = new FakeClock(1_000)
    const slow = (): Promise<void> => new Promise((resolve) => void clock.after(250, resolve))
    const health = new HealthMonitor({ checks: { db: { check: slow, critical: false } }, clock })
    const seen = health.check('db')
    await clock.advance(250)
    await seen
    expect(health.components.get('db')).toMatchObject({ observedAt: 1_250, tookMs: 250, critical: false })
    await clock.advance(500)
    health.report('db', 'down', 'gone')
    expect(health.components.get('db')).toMatchObject({ observedAt: 1_750, tookMs: 250 })
  })

  it('may be started and stopped twice, and leaves no timer behind', async () => {
    const db = patient()
    const { clock, health } = await watch(db.check)
    await health.start()
    expect(db.looks).toBe(1)
    await health.stop()
    await health.stop()
    expect(clock.pending).toBe(0)
    await clock.advance(60_000)
    expect(db.looks).toBe(1)
  })

  it('looks again when it is started again', async () => {
    const db = patient()
    const { clock, health } = await watch(db.check)
    await health.stop()
    await health.start()
    await clock.advance(10_000)
    expect(db.looks).toBe(3)
    await health[Symbol.asyncDispose]()
    expect(clock.pending).toBe(0)
  })

  it('does not call a stopped component up for ever', async () => {
    const { clock, health, news } = await watch(() => true)
    await health.stop()
    await clock.advance(34_999)
    expect(health.status).toBe('up')
    await clock.advance(1)
    expect(health.status).toBe('unknown')
    expect(health.components.get('db')?.reason).toBe('no result for 35000 ms; the last one said up: ok')
    expect(news).toHaveLength(2)
  })

  it('trusts a fresh look more than what it knew long ago', async () => {
    const db = patient()
    const { clock, health, told } = await watch(db.check)
    await health.stop()
    await clock.advance(3_600_000)
    db.is = () => false
    await health.check('db')
    expect(health.status).toBe('down')
    expect(told('db')).toEqual(['up', 'down'])
  })

  it('does not hold the run that a stop gave up against the check when it is started again at once', async () => {
    const clock = new FakeClock()
    let isSlow = false
    const atOnce = { now: 0, most: 0 }
    const slowly = async (): Promise<void> => {
      atOnce.most = Math.max(atOnce.most, ++atOnce.now)
      if (isSlow) await new Promise<void>((resolve) => void clock.after(1_000, resolve))
      atOnce.now--
    }
    const health = new HealthMonitor({ checks: { db: { check: slowly, failuresToDown: 1 } }, clock, ...steady })
    const told: string[] = []
    health.on('change', ({ what, to }) => void (what === 'db' && told.push(to)))
    await health.start()
    await clock.advance(5_000)
    isSlow = true
    void health.check('db')
    await clock.advance(100)
    await health.stop()
    await health.start()
    const seen = health.check('db')
    await clock.advance(10_000)
    expect([told, await seen, atOnce.most]).toEqual([['up'], { status: 'up', reason: 'ok' }, 1])
  })

  it('gives a run its deadline also while it waits for one that a stop gave up, and begins it no more', async () => {
    const db = patient(hangs)
    const { clock, health, db: component } = await watch(db.check)
    await health.stop()
    await health.start()
    await clock.advance(5_000)
    expect(component()).toMatchObject({ status: 'down', reason: expect.stringContaining('No answer') as unknown })
    expect(db.looks).toBe(1)
  })

  it('tells how the whole is again, although it was asked while it was stopped and everything had grown old', async () => {
    const clock = new FakeClock()
    const checks = { db: { check: () => true }, api: { check: () => true, critical: false } }
    const health = new HealthMonitor({ checks, clock, ...steady })
    const told: string[] = []
    health.on('change', ({ what, to }) => void (what === 'health' && told.push(to)))
    await health.start()
    await clock.advance(0)
    await health.stop()
    await clock.advance(60_000)
    await health.check('api')
    await health.start()
    await clock.advance(0)
    expect([health.status, told.at(-1)]).toEqual(['up', 'up'])
  })

  it('gives up what is under way when it is stopped in the middle', async () => {
    let reason: unknown
    const { clock, health, db } = await watch((signal) => {
      signal.addEventListener('abort', () => void (reason = signal.reason))
      return hangs()
    })
    const seen = health.check('db')
    await health.stop()
    expect(await seen).toEqual({ status: 'unknown', reason: 'The monitor was stopped before the check had ended' })
    expect(reason).toBeInstanceOf(CheckAbandonedError)
    expect(db()?.status).toBe('unknown')
    expect(clock.pending).toBe(0)
  })
})

describe('hysteresis', () => {
  it('changes nothing on one failure, and looks again soon', async () => {
    const db = patient()
    const { clock, told } = await watch(db.check)
    db.is = () => false
    await clock.advance(10_000)
    expect(told('db')).toEqual(['up'])
    await clock.advance(2_000 + 4_000 + 7_999)
    expect(told('db')).toEqual(['up'])
    await clock.advance(1)
    expect(told('db')).toEqual(['up', 'down'])
    expect(db.looks).toBe(5)
  })

  it('recovers as carefully, and then returns to its interval', async () => {
    const db = patient(() => false)
    const { clock, told } = await watch(db.check)
    db.is = () => true
    await clock.advance(10_000 + 14_000)
    expect(told('db')).toEqual(['down', 'up'])
    const { looks } = db
    await clock.advance(20_000)
    expect(db.looks).toBe(looks + 2)
  })

  it('never changes while every second look fails', async () => {
    let look = 0
    const { clock, told } = await watch(() => look++ % 2 === 0)
    await clock.advance(3_600_000)
    expect(told('db')).toEqual(['up'])
    expect(told('health')).toEqual(['up'])
  })

  it('follows thresholds of its own', async () => {
    const db = patient()
    const { clock, told } = await watch(db.check, { failuresToDown: 1, successesToUp: 2, recheckMs: 500 })
    db.is = () => ({ status: 'degraded', reason: 'slow' })
    await clock.advance(10_000)
    expect(told('db')).toEqual(['up', 'degraded'])
    db.is = () => true
    await clock.advance(10_500)
    expect(told('db')).toEqual(['up', 'degraded', 'up'])
  })
})

describe('a check that does not answer', () => {
  it('is aborted at its deadline and counts as failed', async () => {
    let reason: unknown
    const { clock, db } = await watch(
      (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject((reason = signal.reason as Error)))),
    )
    await clock.advance(4_999)
    expect(db()?.status).toBe('unknown')
    await clock.advance(1)
    expect(db()).toMatchObject({
      status: 'down',
      reason: expect.stringContaining('No answer within 5000 ms') as unknown,
    })
    expect(reason).toBeInstanceOf(CheckTimeoutError)
    expect(reason).toMatchObject({ code: 'CHECK_TIMEOUT', check: 'db', timeoutMs: 5_000, applied: 'unknown' })
  })

  it('is never run twice at once: it goes down, and unknown when it has hung for too long', async () => {
    const db = patient()
    const { clock, told, db: component } = await watch(db.check)
    db.is = hangs
    await clock.advance(10_000 + 5_000)
    expect(component()?.status).toBe('up')
    await clock.advance(14_000)
    expect(component()).toMatchObject({
      status: 'down',
      reason: 'no answer within 5000 ms, and the check is still running',
    })
    await clock.advance(20_999)
    expect(component()?.status).toBe('down')
    await clock.advance(1)
    expect(component()?.status).toBe('unknown')
    await clock.advance(3_600_000)
    expect(told('db')).toEqual(['up', 'down', 'unknown'])
    expect(told('health')).toEqual(['up', 'down', 'unknown'])
    expect(db.looks).toBe(2)
  })

  it('is looked at again once it has ended after all; what it says too late is ignored', async () => {
    let answer!: (outcome: boolean) => void
    const db = patient(() => new Promise((resolve) => (answer = resolve)))
    const { clock, db: component } = await watch(db.check)
    await clock.advance(5_000)
    expect(component()?.status).toBe('down')
    db.is = () => true
    answer(true)
    await clock.advance(9_999)
    expect([component()?.status, db.looks]).toEqual(['down', 1])
    await clock.advance(1)
    expect(db.looks).toBe(2)
    await clock.advance(14_000)
    expect(component()?.status).toBe('up')
  })

  it('is joined, not started again, by everybody who asks', async () => {
    const db = patient(hangs)
    const { clock, health } = await watch(db.check)
    const seen = Promise.all([health.check('db'), health.check('db'), health.checkNow()])
    await clock.advance(5_000)
    expect((await seen)[0].status).toBe('down')
    expect((await health.check('db')).status).toBe('down')
    expect(db.looks).toBe(1)
  })

  it('does not hang when it asks for itself', async () => {
    const clock = new FakeClock()
    const health: HealthMonitor<'self'> = new HealthMonitor({
      checks: { self: { check: async () => (await health.check('self')).status === 'up' } },
      clock,
    })
    const seen = health.check('self')
    await clock.advance(5_000)
    expect((await seen).status).toBe('down')
  })
})

describe('time', () => {
  it.each([3_600_000, -3_600_000])('does not care when the wall clock is moved by %i ms', async (ms) => {
    const db = patient()
    const { clock, told, health } = await watch(db.check)
    await clock.advance(15_000)
    clock.jump(ms)
    expect(health.status).toBe('up')
    await clock.advance(15_000)
    expect([told('db'), db.looks]).toEqual([['up'], 4])
    db.is = () => false
    await clock.advance(10_000 + 14_000)
    expect(told('db')).toEqual(['up', 'down'])
  })

  it('does not hold a blocked event loop against a check', async () => {
    const clock = new BlockableClock()
    let answer!: () => void
    const health = new HealthMonitor({
      checks: { db: { check: () => new Promise<void>((resolve) => (answer = resolve)) } },
      clock,
    })
    const seen = health.check('db')
    await clock.advance(4_900)
    clock.block(60_000)
    await clock.advance(100)
    answer()
    expect(await seen).toEqual({ status: 'up', reason: 'ok' })
  })

  it('still ends a check that hangs while the loop was blocked once', async () => {
    const clock = new BlockableClock()
    const health = new HealthMonitor({ checks: { db: { check: hangs } }, clock })
    const seen = health.check('db')
    await clock.advance(2_000)
    clock.block(60_000)
    await clock.advance(4_250)
    expect((await seen).status).toBe('down')
  })

  it('looks once after a pause, not once for every look that it missed', async () => {
    const clock = new BlockableClock()
    const db = patient()
    const health = new HealthMonitor({ checks: { db: { check: db.check } }, clock, ...steady })
    await health.start()
    await clock.advance(9_000)
    clock.block(600_000)
    expect(health.status).toBe('unknown')
    await clock.advance(1_000)
    expect([db.looks, health.status]).toEqual([2, 'up'])
    await health.stop()
  })
})

describe('reports', () => {
  it('take effect at once', async () => {
    const { health, news } = await watch(() => true)
    health.report('db', 'degraded', 'running on the local copy')
    expect(health.status).toBe('degraded')
    expect(news.at(-2)).toMatchObject({
      what: 'db',
      to: 'degraded',
      why: 'running on the local copy',
      severity: 'WARNING',
    })
  })

  it('give way to as many contradicting results as usual', async () => {
    const { clock, health, told } = await watch(() => true)
    health.report('db', 'down', 'the pool is gone')
    await clock.advance(10_000 + 2_000 + 4_000)
    expect(told('db')).toEqual(['up', 'down'])
    await clock.advance(8_000)
    expect(told('db')).toEqual(['up', 'down', 'up'])
  })

  it('are not contradicted by a run that began before', async () => {
    let answer!: (outcome: boolean) => void
    const db = patient(() => new Promise((resolve) => (answer = resolve)))
    const { clock, health, db: component } = await watch(db.check)
    health.report('db', 'unknown', 'no idea')
    answer(true)
    await clock.advance(0)
    expect(component()).toMatchObject({ status: 'unknown', reason: 'no idea' })
    db.is = () => true
    await clock.advance(2_000)
    expect(component()?.status).toBe('up')
  })

  it('grow old like results', async () => {
    const { clock, health, db } = await watch(() => true)
    await health.stop()
    await clock.advance(30_000)
    health.report('db', 'down', 'the pool is gone')
    await clock.advance(34_999)
    expect(db()?.status).toBe('down')
    await clock.advance(1)
    expect(db()?.status).toBe('unknown')
  })

  it('must name a component, a status and a reason', async () => {
    const { health } = await watch(() => true)
    expect(() => health.report('api' as 'db', 'up', 'ok')).toThrow('there is no check "api"; there are: db')
    expect(() => health.report('db', 'UP' as 'up', 'ok')).toThrow(TypeError)
    expect(() => health.report('db', 'up', ' ')).toThrow(TypeError)
    expect(() => health.check('toString' as 'db')).toThrow(TypeError)
  })
})

describe('what it tells', () => {
  it('is a complete sentence for the component, then one for the whole', async () => {
    const { news, clock } = await watch(() => {
      throw new Error('connect ECONNREFUSED')
    })
    expect(news).toEqual([
      {
        what: 'db',
        from: 'unknown',
        to: 'down',
        at: clock.now(),
        why: 'connect ECONNREFUSED',
        severity: 'CRITICAL',
        message: 'db went from unknown to down: connect ECONNREFUSED.',
      },
      {
        what: 'health',
        from: 'unknown',
        to: 'down',
        at: clock.now(),
        why: 'db is down (connect ECONNREFUSED)',
        severity: 'CRITICAL',
        message: 'Health went from unknown to down: db is down (connect ECONNREFUSED).',
      },
    ])
  })

  it('is only a warning when the component is not critical', async () => {
    const { news } = await watch(() => false, { critical: false })
    expect(news.map(({ what, to, severity }) => [what, to, severity])).toEqual([
      ['db', 'down', 'WARNING'],
      ['health', 'degraded', 'WARNING'],
    ])
  })

  it('is already true when it is told', async () => {
    const { health } = await watch(() => true)
    const read: string[] = []
    health.on('change', () => read.push(health.status))
    health.report('db', 'down', 'gone')
    expect(read).toEqual(['down', 'down'])
  })

  it('is already true when it is told, also where another component has silently grown old', async () => {
    const clock = new FakeClock()
    const checks = { db: { check: () => true }, api: { check: () => true, critical: false } }
    const health = new HealthMonitor({ checks, clock })
    await health.checkNow()
    await clock.advance(3_600_000)
    const told: string[] = []
    health.on('change', ({ what, to }) => told.push(`${what} ${to}, read ${health.status}`))
    health.report('api', 'down', 'gone')
    expect(told).toEqual(['api down, read unknown', 'health unknown, read unknown'])
  })

  it('comes in order to everybody when a listener reports something itself', async () => {
    const { health } = await watch(() => true)
    health.once('change', () => health.report('db', 'degraded', 'half gone'))
    const told: string[] = []
    health.on('change', ({ what, to }) => told.push(`${what} ${to}`))
    health.report('db', 'down', 'gone')
    expect(told).toEqual(['db down', 'health down', 'db degraded', 'health degraded'])
  })

  it('harms nobody when a listener throws: it becomes a warning, and the looks go on', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const clock = new FakeClock()
    const db = patient()
    const health = new HealthMonitor({ checks: { db: { check: db.check } }, clock, ...steady })
    health.on('change', () => {
      throw new Error('listener broke')
    })
    await health.start()
    await clock.advance(20_000)
    expect(db.looks).toBe(3)
    expect(health.status).toBe('up')
    expect(warn).toHaveBeenCalledTimes(2)
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('listener broke'), {
      type: 'EvenkeelWarning',
      code: 'EVENKEEL_LISTENER',
    })
  })
})

describe('a hundred checks', () => {
  /** How many looks began in the same moment, at most, from one time to another. */
  async function crowding(fromMs: number, toMs: number, random = seeded(1)): Promise<{ most: number; looks: number }> {
    const clock = new FakeClock()
    const begun = new Map<number, number>()
    const check = (): void => {
      const ms = clock.monotonic()
      if (ms >= fromMs) begun.set(ms, (begun.get(ms) ?? 0) + 1)
    }
    const checks = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`c${index}`, { check }]))
    const health = new HealthMonitor({ checks, clock, random })
    await health.start()
    await clock.advance(toMs)
    const counts = [...begun.values()]
    return { most: Math.max(...counts), looks: counts.reduce((sum, count) => sum + count, 0) }
  }

  it('do not begin in one turn of the event loop, and yet all within a fifth of a second', async () => {
    expect(await crowding(0, 200, () => 0)).toEqual({ most: 10, looks: 100 })
  })

  it('of the same interval drift apart at once, and keep their interval', async () => {
    const { most, looks } = await crowding(1_000, 61_000)
    expect(most).toBeLessThanOrEqual(25)
    expect(looks).toBeGreaterThan(590)
    expect(looks).toBeLessThan(660)
  })
})

describe('names', () => {
  it('may be hostile', async () => {
    const names = ['__proto__', 'constructor', 'toString', ' ', '%_*\0']
    const checks = Object.create(null) as Record<string, CheckOptions>
    for (const name of names) checks[name] = { check: () => true }
    const health = new HealthMonitor({ checks, clock: new FakeClock() })
    await health.checkNow()
    expect([...health.components.keys()]).toEqual(names)
    expect(health.status).toBe('up')
  })

  it('belong to one monitor: two with the same names know nothing of one another', async () => {
    const one = await watch(() => true)
    const other = await watch(() => false)
    expect([one.health.status, other.health.status]).toEqual(['up', 'down'])
    await one.health.stop()
    await other.clock.advance(10_000)
    expect(other.clock.pending).toBeGreaterThan(0)
  })
})

describe('options', () => {
  const check = (): boolean => true

  it.each([
    [{ check, intervalMs: 0 }, RangeError, 'checks["db"].intervalMs must be milliseconds above 0, not 0'],
    [{ check, timeoutMs: NaN }, RangeError, 'not NaN'],
    [{ check, timeoutMs: Infinity }, RangeError, 'not Infinity'],
    [{ check, recheckMs: '2s' }, TypeError, 'not a string'],
    [{ check, failuresToDown: 1.5 }, RangeError, 'a whole number from 1, not 1.5'],
    [{ check, successesToUp: 0 }, RangeError, 'a whole number from 1, not 0'],
    [{ check, critical: 'no' }, TypeError, 'critical must be true or false'],
    [{ check, maxAgeMs: 15_000 }, RangeError, 'give more than intervalMs + timeoutMs (15000)'],
    [{ check, interval: 5 }, TypeError, 'has no option "interval"; there are critical, intervalMs'],
    [{}, TypeError, 'must be { check: function, ... }'],
    [undefined, TypeError, 'must be { check: function, ... }'],
  ])('refuses %o', (options, kind, message) => {
    const make = (): unknown => new HealthMonitor({ checks: { db: options as unknown as CheckOptions<'db'> } })
    expect(make).toThrow(kind)
    expect(make).toThrow(message)
  })

  it.each([undefined, {}, { checks: null }, { checks: [check] }])(
    'refuses %o in the place of all options',
    (options) => {
      expect(() => new HealthMonitor(options as never)).toThrow(
        TypeError('HealthMonitor: give { checks: { name: { check } } }'),
      )
    },
  )

  it('refuses an option beside `checks` that it does not know', () => {
    const make = (): unknown => new HealthMonitor({ checks: { db: { check } }, intervalMs: 5_000 } as object as never)
    expect(make).toThrow(TypeError('HealthMonitor has no option "intervalMs"; there are checks, loop, clock, random'))
  })

  it('refuses a check with the name of the whole, or none', () => {
    expect(() => new HealthMonitor({ checks: { health: { check } } })).toThrow('"health" is the name of the whole')
    expect(() => new HealthMonitor({ checks: { '': { check } } })).toThrow('empty name')
  })

  it('takes an option that is undefined for absent', async () => {
    const options = { check, intervalMs: undefined } as unknown as CheckOptions<'db'>
    const { clock, db } = await watch(check, options)
    await clock.advance(10_000)
    expect(db()?.status).toBe('up')
  })
})
