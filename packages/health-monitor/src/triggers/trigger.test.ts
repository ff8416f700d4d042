import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, vi } from 'vitest'
import { HealthMonitor } from '../health-monitor.js'
import type { TriggerNews } from './trigger-news.js'
import type { TriggerOptions } from './trigger-options.js'

type Options = Partial<TriggerOptions<'db' | 'search'>>

/** A trigger on a component whose status the test reports, the deeds it did, and what was told. */
function trap(options: Options = {}) {
  const clock = new FakeClock()
  const health = new HealthMonitor({
    checks: { db: { check: () => true, maxAgeMs: 1e9 }, search: { check: () => true, maxAgeMs: 1e9 } },
    clock,
  })
  const deeds: string[] = []
  const news: TriggerNews[] = []
  health.on('trigger', (each) => news.push(each))
  const trigger = health.when({
    component: 'db',
    is: 'down',
    run: ({ why }) => void deeds.push(`run: ${why}`),
    whenOver: ({ why }) => void deeds.push(`over: ${why}`),
    ...options,
  })
  const report = async (status: 'up' | 'degraded' | 'down' | 'unknown', why: string = status): Promise<void> => {
    health.report('db', status, why)
    await clock.advance(0)
  }
  const states = (): string[] => news.map(({ to }) => to)
  return { clock, health, trigger, deeds, news, report, states }
}

describe('a trigger', () => {
  it('acts once when the status is reached, and once when that is over', async () => {
    const { deeds, report } = trap()
    await report('degraded')
    await report('down', 'refused')
    await report('down', 'refused again')
    await report('up', 'ok')
    await report('up', 'ok')
    expect(deeds).toEqual(['run: refused', 'over: ok'])
  })

  it('tells what it did', async () => {
    const { news, report, clock } = trap({ name: 'read-only' })
    await report('down', 'refused')
    await report('up', 'ok')
    expect(news).toEqual([
      {
        what: 'read-only',
        from: 'waiting',
        to: 'done',
        at: clock.now(),
        why: 'refused',
        severity: 'INFO',
        message: 'Trigger "read-only" ran its action: db is down (refused).',
      },
      {
        what: 'read-only',
        from: 'done',
        to: 'waiting',
        at: clock.now(),
        why: 'ok',
        severity: 'INFO',
        message: 'Trigger "read-only" undid its action: db is up (ok).',
      },
    ])
  })

  it('is moved by nothing that is unknown', async () => {
    const { deeds, report } = trap()
    await report('unknown')
    await report('down')
    await report('unknown')
    await report('down')
    expect(deeds).toEqual(['run: down'])
  })

  it('takes down for degraded, and degraded for over only when it waits for down', async () => {
    const degraded = trap({ is: 'degraded' })
    await degraded.report('down')
    await degraded.report('degraded')
    expect(degraded.deeds).toEqual(['run: down'])
    const down = trap()
    await down.report('down')
    await down.report('degraded')
    expect(down.deeds).toEqual(['run: down', 'over: degraded'])
  })

  it('acts on what is the case already when it is set', async () => {
    const { health, report } = trap()
    await report('down', 'refused')
    const run = vi.fn()
    health.when({ component: 'health', is: 'down', run })
    expect(run).toHaveBeenCalledWith(
      expect.objectContaining({ status: 'down', why: expect.stringContaining('db') as unknown }),
    )
  })

  it('has a hysteresis of its own, both ways', async () => {
    const { clock, deeds, report } = trap({ forMs: 10_000, overForMs: 60_000 })
    await report('down')
    await clock.advance(9_999)
    await report('up')
    await clock.advance(60_000)
    expect(deeds).toEqual([])
    await report('down')
    await clock.advance(10_000)
    expect(deeds).toEqual(['run: down'])
    await report('up')
    await clock.advance(59_999)
    await report('down')
    await report('up')
    await clock.advance(59_999)
    expect(deeds).toEqual(['run: down'])
    await clock.advance(1)
    expect(deeds).toEqual(['run: down', 'over: up'])
  })

  it('undoes only what has been done: an action that is under way ends first', async () => {
    let end!: () => void
    const { deeds, states, report } = trap({
      run: () => {
        deeds.push('run')
        return new Promise<void>((resolve) => (end = resolve))
      },
    })
    await report('down')
    await report('up')
    expect([deeds, states()]).toEqual([['run'], []])
    end()
    await report('up')
    expect([deeds, states()]).toEqual([
      ['run', 'over: up'],
      ['done', 'waiting'],
    ])
  })
})

it('a trigger that is called for again while it undoes its action ends that first', async () => {
  let end!: () => void
  const { clock, deeds, states, report } = trap({ whenOver: () => new Promise<void>((resolve) => (end = resolve)) })
  await report('down', 'first')
  await report('up')
  await report('down', 'second')
  expect(states()).toEqual(['done'])
  end()
  await report('down', 'second')
  await clock.advance(1_000)
  expect([deeds, states()]).toEqual([
    ['run: first', 'run: second'],
    ['done', 'waiting', 'done'],
  ])
})

describe('an action that fails', () => {
  it('is tried again, later and later, and told when it fails and when it has succeeded', async () => {
    const tries: number[] = []
    const { clock, states, report } = trap({
      run: () => {
        tries.push(clock.monotonic())
        if (tries.length < 4) throw new Error('no route')
      },
    })
    await report('down')
    await clock.advance(60_000)
    expect(tries).toEqual([0, 1_000, 3_000, 7_000])
    expect(states()).toEqual(['failing', 'done'])
  })

  it('is tried again once a minute at the latest', async () => {
    const tries: number[] = []
    const { clock, report } = trap({
      attempts: 9,
      run: () => {
        tries.push(clock.monotonic())
        throw new Error('no route')
      },
    })
    await report('down')
    await clock.advance(600_000)
    expect(tries.slice(5)).toEqual([31_000, 63_000, 123_000, 183_000])
  })

  it('is given up in the end, and tried anew the next time', async () => {
    const run = vi.fn(() => Promise.reject(new Error('no route')))
    const { clock, news, report, deeds } = trap({ run, attempts: 2 })
    await report('down')
    await clock.advance(60_000)
    expect(news.at(-1)).toMatchObject({
      to: 'failed',
      severity: 'CRITICAL',
      message: 'Trigger "db down": its action was given up after 2 attempts: no route.',
    })
    await report('up')
    expect(deeds).toEqual([])
    await report('down')
    await clock.advance(60_000)
    expect(run).toHaveBeenCalledTimes(4)
  })

  it('is not tried again once what called for it is over', async () => {
    const run = vi.fn(() => Promise.reject(new Error('no route')))
    const { clock, trigger, report } = trap({ run })
    await report('down')
    await report('up')
    await clock.advance(60_000)
    expect([run.mock.calls.length, trigger.state]).toEqual([1, 'waiting'])
  })

  it('runs again when undoing it had begun and failed', async () => {
    const whenOver = vi.fn(() => Promise.reject(new Error('no route')))
    const { clock, deeds, report } = trap({ whenOver })
    await report('down', 'first')
    await report('up')
    await report('down', 'second')
    await clock.advance(1_000)
    expect(deeds).toEqual(['run: first', 'run: second'])
  })

  it('has a deadline, and is not begun again while it hangs', async () => {
    let signal: AbortSignal | undefined
    const run = vi.fn((context: { signal: AbortSignal }) => {
      signal = context.signal
      return new Promise(() => {})
    })
    const { clock, news, report } = trap({ run, timeoutMs: 500, attempts: 3 })
    await report('down')
    await clock.advance(500)
    expect(signal?.aborted).toBe(true)
    expect(news[0]).toMatchObject({ to: 'failing', why: 'no end within 500 ms' })
    await clock.advance(60_000)
    expect(run).toHaveBeenCalledTimes(1)
    expect(news.at(-1)).toMatchObject({ to: 'failed', why: 'an earlier attempt has not ended after 500 ms' })
  })
})

describe('an action that may have been done, or half', () => {
  it('is undone when it is over, though it was given up', async () => {
    const run = ({ signal }: { signal: AbortSignal }): Promise<never> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    const { clock, deeds, report } = trap({ run, attempts: 1, timeoutMs: 500 })
    await report('down')
    await clock.advance(500)
    expect(deeds).toEqual([])
    await report('up')
    expect(deeds).toEqual(['over: up'])
  })

  it('is undone once it has ended, when it is over before that', async () => {
    let end!: () => void
    const { clock, deeds, states, report } = trap({
      run: () => new Promise<void>((resolve) => (end = resolve)),
      timeoutMs: 500,
      retryMs: 2_000,
    })
    await report('down')
    await clock.advance(500)
    end()
    await clock.advance(0)
    await report('up')
    expect([deeds, states()]).toEqual([['over: up'], ['failing', 'waiting']])
  })

  it('is undone when the monitor was stopped in the middle of it and it is over when that starts again', async () => {
    const { clock, health, deeds, report } = trap({
      run: () => new Promise((resolve) => void clock.after(50, () => resolve(1))),
    })
    await health.start()
    await report('down')
    await health.stop()
    await clock.advance(50)
    health.report('db', 'up', 'ok')
    await health.start()
    await clock.advance(0)
    expect(deeds).toEqual(['over: ok'])
  })

  it('is told the status that called for it, though nobody knows any more how it is', async () => {
    const statuses: string[] = []
    const { clock, report } = trap({
      retryMs: 1_000,
      run: ({ status, why }) => {
        statuses.push(`${status}: ${why}`)
        throw new Error('no route')
      },
    })
    await report('down', 'refused')
    await report('unknown', 'no result')
    await clock.advance(1_000)
    expect(statuses).toEqual(['down: refused', 'down: refused'])
  })
})

it('a trigger is not failing any more when it was stopped, and it is over when it starts again', async () => {
  const { health, trigger, report, clock } = trap({ run: () => Promise.reject(new Error('no route')) })
  await health.start()
  await report('down')
  expect(trigger.state).toBe('failing')
  await health.stop()
  health.report('db', 'up', 'ok')
  await health.start()
  await clock.advance(0)
  expect(trigger.state).toBe('waiting')
})

describe('a loop', () => {
  it('of an action that fails the check that called for it ends after one run', async () => {
    const { health, deeds, report, clock } = trap({
      run: () => {
        deeds.push('run')
        health.report('db', 'down', 'restarted, and refused')
      },
    })
    await report('down')
    await clock.advance(3_600_000)
    expect(deeds).toEqual(['run'])
  })

  it('of an action that heals and breaks ends at so many runs an hour, is told, and goes on when the hour is over', async () => {
    let runs = 0
    const { health, clock, states, report } = trap({
      maxRunsPerHour: 3,
      run: () => {
        runs++
        health.report('db', 'up', 'restarted')
        // As soon as anybody uses it:
        clock.after(1_000, () => health.report('db', 'down', 'out of memory'))
      },
      whenOver: () => {},
    })
    await report('down')
    await clock.advance(1_800_000)
    expect(runs).toBe(3)
    expect(states().at(-1)).toBe('held back')
    await clock.advance(1_800_000)
    expect(runs).toBeGreaterThan(3)
    expect(runs).toBeLessThanOrEqual(6)
  })
})

describe('two triggers that undo one another', () => {
  /** Each heals what it is for, and breaks what the other is for. */
  function quarrel() {
    const clock = new FakeClock()
    const checks = { db: { check: () => true, maxAgeMs: 1e9 }, search: { check: () => true, maxAgeMs: 1e9 } }
    const health = new HealthMonitor({ checks, clock })
    const news: TriggerNews[] = []
    health.on('trigger', (each) => news.push(each))
    const ran: number[] = []
    const other = { db: 'search', search: 'db' } as const
    for (const component of ['db', 'search'] as const) {
      health.when({
        component,
        is: 'down',
        run: () => {
          ran.push(clock.monotonic())
          health.report(component, 'up', 'it has the memory now')
          clock.after(10, () => health.report(other[component], 'down', 'no memory left'))
        },
      })
    }
    health.report('db', 'down', 'no memory left')
    return { clock, news, ran }
  }

  it('become slower and slower, then are held back, and each is told which other ran meanwhile', async () => {
    const { clock, news, ran } = quarrel()
    await clock.advance(100)
    expect(ran.length).toBeLessThanOrEqual(3)
    await clock.advance(1_800_000)
    expect(ran.length).toBeLessThanOrEqual(12)
    const held = news.filter(({ to }) => to === 'held back')
    expect(held[0]?.message).toContain('within an hour; meanwhile "search down" ran 6 times')
  })
})

describe('the life of a trigger', () => {
  it('ends by off(), with nothing left behind', async () => {
    const { clock, trigger, deeds, report } = trap({ forMs: 1_000 })
    await report('down')
    trigger.off()
    await report('up')
    await report('down')
    await clock.advance(10_000)
    expect([deeds, clock.pending]).toEqual([[], 0])
  })

  it('pauses while the monitor is stopped: what runs is aborted, and counts for nothing', async () => {
    let signal: AbortSignal | undefined
    const { clock, health, news, report } = trap({
      run: (context) => {
        signal = context.signal
        return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)))
      },
    })
    await health.start()
    await report('down')
    await health.stop()
    await clock.advance(0)
    expect([signal?.aborted, news, clock.pending]).toEqual([true, [], 0])
  })

  it.each([
    [{ component: 'cache' }, TypeError, 'there is no component "cache"; there are: db, search, health'],
    [{ is: 'unknown' }, TypeError, "is must be 'degraded' or 'down'"],
    [{ run: undefined }, TypeError, 'run must be a function'],
    [{ whenOver: 1 }, TypeError, 'whenOver must be a function'],
    [{ forMs: -1 }, RangeError, 'forMs must be milliseconds from 0'],
    [{ attempts: 0 }, RangeError, 'attempts must be a whole number from 1'],
    [{ cooldown: 1 }, TypeError, 'has no option "cooldown"'],
  ])('does not begin with %o', (options, kind, message) => {
    expect(() => trap(options as Options)).toThrow(kind)
    expect(() => trap(options as Options)).toThrow(message)
  })
})
