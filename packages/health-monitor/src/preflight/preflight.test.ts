import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { exitCodeOf, type HealthCheck, healthReport } from '../index.js'
import { Metrics, MetricsPage } from '../metrics.js'
import {
  alertArrivesCheck,
  environmentCheck,
  metricsFlowCheck,
  nodeVersionCheck,
  permissionsCheck,
  roundTripCheck,
  runSteps,
  writableCheck,
} from '../preflight.js'

/** How one check judges, run as a step. */
async function judged(check: HealthCheck, timeoutMs = 5_000): Promise<string> {
  const { components } = await runSteps({ step: { check, timeoutMs } })
  const { status, reason } = components.get('step')!
  return `${status}: ${reason}`
}

describe('a run of steps', () => {
  it('runs all at the same time, and is as well as its worst', async () => {
    const clock = new FakeClock()
    const slow = (): Promise<void> => new Promise((resolve) => void clock.after(1_000, resolve))
    const running = runSteps({ one: slow, other: slow, third: { check: () => false, critical: false } }, { clock })
    await clock.advance(1_000)
    const report = await running
    expect([report.status, exitCodeOf(report.status)]).toEqual(['degraded', 1])
    expect(healthReport(report)).toContain('down      third  the check returned false')
    expect(clock.pending).toBe(0)
  })

  it('remembers what succeeded at once, however long another takes', async () => {
    const clock = new FakeClock()
    const slow = (): Promise<void> => new Promise((resolve) => void clock.after(300_000, resolve))
    const running = runSteps({ quick: () => true, restore: { check: slow, timeoutMs: 600_000 } }, { clock })
    await clock.advance(300_000)
    expect((await running).components.get('quick')).toMatchObject({ status: 'up', reason: 'ok' })
  })

  it('does nothing by a signal that was aborted before', async () => {
    let looks = 0
    const report = await runSteps({ write: () => void looks++ }, { signal: AbortSignal.abort() })
    expect([report.status, looks]).toEqual(['unknown', 0])
  })

  it('ends at its deadline, whatever hangs', async () => {
    const clock = new FakeClock()
    const hangs = (): Promise<never> => new Promise(() => {})
    const running = runSteps({ hung: hangs, quick: { check: hangs, timeoutMs: 100 } }, { clock, timeoutMs: 3_000 })
    await clock.advance(3_000)
    expect((await running).status).toBe('down')
  })

  it('does not judge what needs a step that failed, however late that is known', async () => {
    const clock = new FakeClock()
    const failing = (ms: number) => (): Promise<boolean> =>
      new Promise((resolve) => void clock.after(ms, () => resolve(false)))
    const running = runSteps(
      { online: failing(2_000), commands: { check: failing(1_000), dependsOn: ['online'] } },
      { clock },
    )
    await clock.advance(2_000)
    expect((await running).components.get('commands')?.reason).toBe('not judged while online is down')
  })

  it('settles what fails by itself once what it needs has succeeded again', async () => {
    const clock = new FakeClock()
    const after = (ms: number, outcome: boolean) => (): Promise<boolean> =>
      new Promise((resolve) => void clock.after(ms, () => resolve(outcome)))
    const steps = { online: after(500, true), commands: { check: after(1_000, false), dependsOn: ['online' as const] } }
    const running = runSteps(steps, { clock })
    await clock.advance(1_500)
    expect((await running).components.get('commands')?.status).toBe('down')
  })

  it('can be ended early: what has no result is unknown', async () => {
    const controller = new AbortController()
    const running = runSteps({ hung: () => new Promise(() => {}), quick: () => true }, { signal: controller.signal })
    await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    const { status, components } = await running
    expect([status, components.get('hung')?.status, components.get('quick')?.status]).toEqual([
      'unknown',
      'unknown',
      'up',
    ])
    expect((await runSteps({ quick: () => true }, { signal: controller.signal })).status).toBe('unknown')
  })

  it.each([
    [undefined, {}],
    [{ step: { check: () => {}, intervalMs: 5, interval: 1 } }, {}],
    [{ step: 'npm test' }, {}],
    [{ step: () => {} }, { timeout: 5 }],
  ])('refuses %o with %o', async (steps, options) => {
    await expect(runSteps(steps as never, options as never)).rejects.toThrow(TypeError)
  })
})

describe('environmentCheck', () => {
  const secret = 'hunter2'

  it('names what is missing, empty or strange, and never tells a value', async () => {
    const check = environmentCheck(
      { TOKEN: /^\w{50,}$/, URL: true, EMPTY: true, FINE: true, LEVEL: { optional: true, pattern: /^(debug|info)$/ } },
      { TOKEN: secret, EMPTY: '', FINE: secret, LEVEL: secret },
    )
    const said = await judged(check)
    expect(said).toBe(
      'down: TOKEN does not look as it should; URL is missing; EMPTY is empty; LEVEL does not look as it should',
    )
    expect(said).not.toContain(secret)
  })

  it('is content when everything is there, again and again, also with a pattern that counts', async () => {
    const check = environmentCheck({ A: /a/g, B: { optional: true } }, { A: 'aa' })
    for (let look = 0; look < 3; look++) expect(await judged(check)).toBe('up: 2 variables are as they should be')
  })

  it('does not take what every object has for a variable', async () => {
    expect(
      await judged(environmentCheck(JSON.parse('{"constructor":true,"__proto__":true}') as Record<string, true>, {})),
    ).toContain('constructor is missing')
  })

  it('reads the environment of the process, and refuses a rule that is none', async () => {
    expect(await judged(environmentCheck({ PATH: true }))).toMatch(/^up/)
    expect(() => environmentCheck({ PATH: false as never })).toThrow('PATH must be true, a pattern')
  })
})

describe('writableCheck', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-'))
  })
  afterEach(() => {
    chmodSync(folder, 0o700)
    rmSync(folder, { recursive: true })
  })

  it('writes, and leaves nothing behind', async () => {
    expect(await judged(writableCheck(join(folder, 'data')))).toMatch(/^up: .* can be written$/)
    expect(readdirSync(join(folder, 'data'))).toEqual([])
  })

  it('says what is in the way', async () => {
    writeFileSync(join(folder, 'file'), '')
    expect(await judged(writableCheck(join(folder, 'file')))).toMatch(/^down: E/)
    expect(() => writableCheck('')).toThrow(TypeError)
  })

  it.skipIf(process.getuid?.() === 0)('sees that a directory may not be written', async () => {
    chmodSync(folder, 0o500)
    expect(await judged(writableCheck(folder))).toMatch(/^down: EACCES/)
  })
})

describe('roundTripCheck', () => {
  it('leaves nothing behind', async () => {
    const store = new Map<string, string>()
    expect(await judged(roundTripCheck(store))).toBe('up: what was written was read back and deleted')
    expect(store.size).toBe(0)
  })

  it.each([
    ['rejects', { set: () => Promise.reject(new Error('read-only replica')) }, 'down: read-only replica'],
    ['forgets', { get: () => undefined }, 'down: what was written was not read back, but nothing'],
    ['mixes up', { get: () => 'x' }, 'down: what was written was not read back, but something else'],
    ['does not delete', { delete: () => true }, 'degraded: what was deleted is still there'],
  ])('sees that a storage %s', async (_what, fault, said) => {
    const map = new Map<string, string>()
    const store = {
      set: (key: string, value: string) => void map.set(key, value),
      get: (key: string) => map.get(key),
      delete: (key: string) => map.delete(key),
      ...fault,
    }
    expect(await judged(roundTripCheck(store))).toBe(said)
  })

  it('refuses what is no store', () => {
    expect(() => roundTripCheck({ get: () => 1 } as never)).toThrow('the store has no set()')
  })
})

describe('nodeVersionCheck', () => {
  it.each([
    ['20.19.0', '20.19.0', 'up'],
    ['20.19', '20.19.1', 'up'],
    ['20.19.0', '22.0.0', 'up'],
    ['20.19.0', '20.2.0', 'down'],
    ['20.19.0', '20.18.9', 'down'],
    ['20', '18.20.0', 'down'],
    ['24.0.0', '24.0.0-nightly', 'up'],
  ])('of at least %s says of %s: %s', async (atLeast, version, status) => {
    expect(await judged(nodeVersionCheck(atLeast, version))).toMatch(new RegExp(`^${status}: Node is ${version}`))
  })

  it('refuses what is no version', () => {
    expect(() => nodeVersionCheck('latest')).toThrow('"latest" is no version')
  })
})

it('permissionsCheck names what is not granted', async () => {
  const missing = (needed: readonly string[]): string[] => needed.filter((each) => each.startsWith('Manage'))
  const needed = ['SendMessages', 'ManageRoles']
  expect(await judged(permissionsCheck(() => ({ missing }), needed))).toBe('down: these are not granted: ManageRoles')
  expect(await judged(permissionsCheck(() => ({ missing }), ['SendMessages']))).toMatch(/^up/)
  expect(await judged(permissionsCheck(() => null, needed))).toBe('down: the bot is not a member there')
  expect(() => permissionsCheck(() => null, [])).toThrow('say what is needed')
})

describe('metricsFlowCheck', () => {
  it('sees a counter rise on a page, and one that does not', async () => {
    const metrics = new Metrics()
    const counter = metrics.counter('smoke_tests', { help: 'Smoke tests.' })
    const page = new MetricsPage(metrics)
    const read = (): string => page.render().text
    const metric = 'smoke_tests_total'
    expect(await judged(metricsFlowCheck({ metric, read, raise: () => counter.add() }))).toBe(
      `up: ${metric} rose from 0 to 1`,
    )
    expect(await judged(metricsFlowCheck({ metric, read, raise: () => {} }))).toMatch(
      /^down: .* stands at 1 as before$/,
    )
    expect(await judged(metricsFlowCheck({ metric: 'smoke', read, raise: () => {} }))).toBe(
      'down: smoke is not on the page',
    )
  })

  it('sums over labels', async () => {
    const pages = ['a{x="1"} 3\na{x="2"} 4 1700000000\nab 9\n', 'a{x="1"} 3\na{x="2"} 5\n']
    const check = metricsFlowCheck({ metric: 'a', read: () => pages.shift() ?? '', raise: () => {} })
    expect(await judged(check)).toBe('up: a rose from 7 to 8')
  })
})

describe('alertArrivesCheck', () => {
  /** An alert that arrives after so long, if ever. */
  function sent(arrivesAfterMs: number) {
    const clock = new FakeClock()
    const channel: string[] = []
    const seen = { looks: 0 }
    const check = alertArrivesCheck(
      {
        send: (text) => void clock.after(arrivesAfterMs, () => void channel.push(text)),
        hasArrived: (text) => {
          seen.looks++
          return channel.includes(text)
        },
      },
      { clock },
    )
    return { clock, seen, running: runSteps({ alert: { check, timeoutMs: 5_000 } }, { clock }) }
  }

  it('waits until it is there', async () => {
    const { clock, running } = sent(1_900)
    await clock.advance(2_000)
    expect((await running).status).toBe('up')
  })

  it('fails at its deadline, and asks no more', async () => {
    const { clock, seen, running } = sent(1e9)
    await clock.advance(5_000)
    expect((await running).components.get('alert')?.reason).toMatch(/^No answer within 5000 ms/)
    await clock.advance(1_000)
    const { looks } = seen
    await clock.advance(10_000)
    expect(seen.looks).toBe(looks)
  })
})
