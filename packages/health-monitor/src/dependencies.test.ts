import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import type { HealthCheck } from './check-result.js'
import { HealthMonitor } from './health-monitor.js'
import type { CheckOptions } from './options.js'

type Name = 'host' | 'db' | 'cache'

/** A host, what runs on it, and everything that was told. Each fails as long as its name is in `broken`. */
async function landscape(overrides: Partial<Record<Name, Partial<CheckOptions<Name>>>> = {}) {
  const clock = new FakeClock()
  const broken = new Set<Name>()
  const looks = { host: 0, db: 0, cache: 0 }
  const check = (name: Name): HealthCheck => {
    return () => {
      looks[name]++
      if (broken.has('host') || broken.has(name)) throw new Error(`${name} refused`)
    }
  }
  const health = new HealthMonitor<Name>({
    checks: {
      cache: { check: check('cache'), dependsOn: ['db'], ...overrides.cache },
      db: { check: check('db'), dependsOn: ['host'], ...overrides.db },
      host: { check: check('host'), ...overrides.host },
    },
    clock,

    random: () => 0,
  })
  const told: string[] = []
  health.on('change', ({ what, to }) => told.push(`${what} ${to}`))
  const read = (name: Name): string => {
    const { status, reason } = health.components.get(name)!
    return `${status}: ${reason}`
  }
  return { clock, health, broken, looks, told, read }
}

async function running(...args: Parameters<typeof landscape>) {
  const all = await landscape(...args)
  await all.health.start()
  await all.clock.advance(0)
  all.told.splice(0)
  return all
}

describe('one dead host', () => {
  it('is one piece of news, though everything on it fails first', async () => {
    const { clock, broken, told, health, read } = await running({ host: { intervalMs: 60_000 } })
    await clock.advance(5_000)
    broken.add('host')
    await clock.advance(60_000)
    expect(told).toEqual(['host down', 'health down'])
    expect(read('cache')).toBe('unknown: not judged while host is down')
    expect(read('db')).toBe('unknown: not judged while host is down')
    expect(health.status).toBe('down')
  })

  it('names only the root in the reasons of the whole', async () => {
    const { clock, broken, health } = await running()
    const why: string[] = []
    health.on('change', (change) => void (change.what === 'health' && why.push(change.why)))
    broken.add('host')
    await clock.advance(60_000)
    expect(why).toEqual(['host is down (host refused)'])
  })

  it('is looked at as soon as something on it fails, not at its own interval', async () => {
    const { clock, broken, told } = await running({ host: { intervalMs: 600_000 } })
    broken.add('host')
    await clock.advance(10_000 + 14_000)
    expect(told).toEqual(['host down', 'health down'])
  })

  it('is not asked about again and again by those on it, which would confirm it in no time', async () => {
    const { clock, broken, looks } = await running({ host: { intervalMs: 600_000 } })
    broken.add('host')
    await clock.advance(10_000)
    expect(looks.host).toBe(2)
    await clock.advance(1_999)
    expect(looks.host).toBe(2)
  })

  it('that is merely slow is confirmed at its own pace, however many on it fail', async () => {
    let isSlow = false
    let looks = 0
    const host = (): { status: 'up' | 'degraded' } => {
      looks++
      return { status: isSlow ? 'degraded' : 'up' }
    }
    const { clock, broken, told } = await running({
      host: { check: host, intervalMs: 60_000 },
      cache: { dependsOn: ['host'], intervalMs: 11_000 },
    })
    await clock.advance(9_000)
    isSlow = true
    broken.add('db').add('cache')
    looks = 0
    await clock.advance(1_000 + 13_999)
    expect([told, looks]).toEqual([[], 3])
  })

  it('costs no looks at what is on it', async () => {
    const { clock, broken, looks } = await running()
    broken.add('host')
    await clock.advance(30_000)
    const { db, cache } = looks
    await clock.advance(3_600_000)
    expect([looks.db, looks.cache]).toEqual([db, cache])
  })

  it('comes back, and everything on it is looked at at once and told as one recovery', async () => {
    const { clock, broken, told, health, looks, read } = await running()
    broken.add('host')
    await clock.advance(60_000)
    broken.delete('host')
    told.splice(0)
    while (health.components.get('host')?.status === 'down') await clock.advance(1_000)
    expect(told).toEqual(['host up', 'health up'])
    expect([read('db'), read('cache')]).toEqual(['up: ok', 'up: ok'])
    expect(looks.db).toBeGreaterThan(1)
  })

  it('is news at once when it is dead from the beginning', async () => {
    const { clock, broken, told, health } = await landscape()
    broken.add('host')
    await health.start()
    await clock.advance(0)
    expect(told).toEqual(['host down', 'health down'])
  })

  it('is one piece of news for somebody who asks once', async () => {
    const { broken, told, health, read } = await landscape()
    broken.add('host')
    const seen = await health.checkNow()
    expect(seen.get('cache')).toEqual({ status: 'down', reason: 'cache refused' })
    expect([told, read('cache')]).toEqual([['host down', 'health down'], 'unknown: not judged while host is down'])
  })

  it('whose check hangs is one piece of news too, then unknown, and those on it stay silent', async () => {
    let isHung = false
    const { clock, broken, told, read } = await running({
      host: { check: () => (isHung ? new Promise<never>(() => {}) : undefined) },
    })
    isHung = true
    broken.add('db').add('cache')
    await clock.advance(3_600_000)
    expect(told).toEqual(['host down', 'health down', 'host unknown', 'health unknown'])
    expect(read('db')).toBe('unknown: not judged while host is unknown')
  })
})

describe('a hesitation of the host', () => {
  it('keeps the failures on it waiting, and ends in silence when it was a blip', async () => {
    const { clock, broken, told, read } = await running({ db: { failuresToDown: 1 }, cache: { failuresToDown: 1 } })
    broken.add('host')
    await clock.advance(10_000)
    expect(read('db')).toBe('up: ok')
    broken.delete('host')
    await clock.advance(60_000)
    expect(told).toEqual([])
    expect(read('db')).toBe('up: ok')
  })
})

describe('a component that fails by itself', () => {
  it('is down, after what it depends on was looked at', async () => {
    const { clock, broken, told, looks, read } = await running({
      host: { intervalMs: 600_000 },
      db: { failuresToDown: 1 },
    })
    broken.add('db')
    await clock.advance(10_000)
    expect(told).toEqual(['db down', 'health down'])
    expect(looks.host).toBe(2)
    expect(read('cache')).toBe('unknown: not judged while db is down')
  })

  it('was told before its host died, and is told no more until it recovers', async () => {
    const { clock, broken, told, read } = await running()
    broken.add('cache')
    await clock.advance(30_000)
    broken.add('host')
    await clock.advance(60_000)
    expect(read('cache')).toBe('unknown: not judged while host is down')
    broken.delete('host')
    await clock.advance(60_000)
    expect(told).toEqual(['cache down', 'health down', 'host down', 'host up'])
    expect(read('cache')).toBe('down: cache refused')
  })

  it('that comes back worse than it went is confirmed as ever, and unknown until then', async () => {
    const { clock, broken, told, health, read } = await running()
    broken.add('host')
    await clock.advance(60_000)
    broken.delete('host')
    broken.add('db')
    told.splice(0)
    while (health.components.get('host')?.status === 'down') await clock.advance(1_000)
    expect(told).toEqual(['host up'])
    expect(read('db')).toBe('unknown: not confirmed yet since host is back')
    expect(health.status).toBe('unknown')
    await clock.advance(14_000)
    expect(told).toEqual(['host up', 'db down'])
    expect(health.status).toBe('down')
  })

  it('is confirmed anew after the trouble, whatever was suspected before it', async () => {
    const { clock, broken, told, health, read } = await running()
    broken.add('db')
    await clock.advance(10_000 + 6_000)
    health.report('host', 'down', 'no power')
    health.report('host', 'up', 'power')
    await clock.advance(13_999)
    expect([told.includes('db down'), read('db')]).toEqual([false, 'unknown: not confirmed yet since host is back'])
    await clock.advance(1)
    expect(read('db')).toBe('down: db refused')
  })

  it('may say itself how it is, while nobody looks', async () => {
    const { clock, broken, told, health, read } = await running()
    broken.add('host')
    await clock.advance(60_000)
    told.splice(0)
    health.report('db', 'degraded', 'running on the local copy')
    expect([told, read('db')]).toEqual([['db degraded'], 'degraded: running on the local copy'])
    await clock.advance(35_000)
    expect(read('db')).toBe('unknown: not judged while host is down')
  })

  it('speaks for itself only as long as the trouble lasts in which it spoke', async () => {
    const { clock, broken, health, read } = await running()
    broken.add('host')
    await clock.advance(60_000)
    health.report('db', 'degraded', 'running on the local copy')
    broken.delete('host')
    await clock.advance(60_000)
    expect(read('db')).toBe('up: ok')
    broken.add('host')
    await clock.advance(30_000)
    expect(read('db')).toBe('unknown: not judged while host is down')
  })
})

describe('a failure that waits for a look at the host', () => {
  /** `db` has failed, and nobody knows before the host has answered. */
  async function inDoubt() {
    let answer = (): void => {}
    let isSlow = false
    const slowly = (): void | Promise<void> => (isSlow ? new Promise((resolve) => (answer = resolve)) : undefined)
    const all = await running({
      host: { check: slowly, intervalMs: 600_000 },
      db: { failuresToDown: 1 },
      cache: { failuresToDown: 1, intervalMs: 11_000 },
    })
    isSlow = true
    all.broken.add('db').add('cache')
    await all.clock.advance(10_000)
    return { ...all, answer: () => answer() }
  }

  it('is told no more when the monitor is stopped meanwhile', async () => {
    const { clock, told, health } = await inDoubt()
    await health.stop()
    await clock.advance(0)
    expect(told).toEqual([])
  })

  it('keeps what depends on it waiting too', async () => {
    const { clock, told, looks, answer } = await inDoubt()
    const { cache } = looks
    await clock.advance(3_000)
    expect([told, looks.cache]).toEqual([[], cache])
    answer()
    await clock.advance(0)
    expect(told).toEqual(['db down', 'health down'])
  })
})

it('leaves no timer behind in the middle of all this', async () => {
  const { clock, broken, health } = await running()
  broken.add('host')
  await clock.advance(13_000)
  await health.stop()
  expect(clock.pending).toBe(0)
})

it('sets no timer for the many on a host that comes back while nobody has started it', () => {
  const clock = new FakeClock()
  const checks: Record<string, CheckOptions> = { host: { check: () => true } }
  for (let i = 0; i < 30; i++) checks[`service ${i}`] = { check: () => true, dependsOn: ['host'] }
  const health = new HealthMonitor({ checks, clock })
  health.report('host', 'down', 'no power')
  health.report('host', 'up', 'power')
  expect(clock.pending).toBe(0)
})

it('looks at what depends on something although that is looked at more often', async () => {
  const { clock, looks } = await running({ host: { intervalMs: 1_000 }, db: { intervalMs: 2_000 } })
  await clock.advance(60_000)
  expect(looks.cache).toBe(7)
})

describe('dependsOn', () => {
  const check = (): boolean => true

  it.each([
    [
      { a: { check, dependsOn: ['c'] }, b: { check } },
      'checks["a"].dependsOn names "c", which is no check; there are: b',
    ],
    [{ a: { check, dependsOn: ['a'] } }, 'in a circle: a -> a'],
    [
      { a: { check, dependsOn: ['b'] }, b: { check, dependsOn: ['c'] }, c: { check, dependsOn: ['b'] } },
      'in a circle: b -> c -> b',
    ],
    [
      { a: { check, dependsOn: ['b'] }, b: { check, critical: false } },
      'names "b", which is not critical, though "a" is',
    ],
    [{ a: { check, dependsOn: 'b' }, b: { check } }, 'dependsOn must be a list'],
  ])('refuses %o', (checks, message) => {
    const make = (): unknown => new HealthMonitor({ checks: checks as never })
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})
