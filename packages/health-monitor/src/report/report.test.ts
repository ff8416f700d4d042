import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import type { HealthStatus } from '../check-result.js'
import { HealthMonitor } from '../health-monitor.js'
import { exitCodeOf } from './exit-code.js'
import { healthCommand } from './health-command.js'
import { healthReport, type ReportedComponent } from './health-report.js'

const at = Date.UTC(2026, 0, 1)

function report(components: Record<string, ReportedComponent>, format: 'text' | 'json' | 'markdown' = 'text'): string {
  return healthReport({ status: 'degraded', components: new Map(Object.entries(components)) }, { format, at })
}

const landscape: Record<string, ReportedComponent> = {
  memory: { status: 'up', reason: 'ok', since: at, tookMs: 0.4, critical: true },
  translate: { status: 'down', reason: 'connect ECONNREFUSED', since: at, tookMs: 3, critical: false },
}

describe('a report', () => {
  it('is text for people, the worst first', () => {
    expect(report(landscape).split('\n')).toEqual([
      'health is degraded at 2026-01-01T00:00:00.000Z',
      'down      translate  connect ECONNREFUSED  (since 2026-01-01T00:00:00.000Z, took 3 ms, not critical)',
      'up        memory     ok  (since 2026-01-01T00:00:00.000Z, took 0 ms)',
      '',
    ])
  })

  it('is a table in Markdown', () => {
    expect(report(landscape, 'markdown').split('\n').slice(0, 5)).toEqual([
      '**health is degraded** at 2026-01-01T00:00:00.000Z',
      '',
      '| status | component | reason | notes |',
      '| --- | --- | --- | --- |',
      '| down | translate | connect ECONNREFUSED | since 2026-01-01T00:00:00.000Z, took 3 ms, not critical |',
    ])
  })

  it('is JSON for programs', () => {
    expect(JSON.parse(report(landscape, 'json'))).toEqual({ status: 'degraded', at, components: landscape })
  })

  it('can be written of nothing, and of times that no calendar has', () => {
    expect(report({})).toBe('health is degraded at 2026-01-01T00:00:00.000Z\n')
    expect(report({ db: { status: 'up', reason: 'ok', since: Infinity } })).toContain('since an unknown time')
  })

  const hostile = {
    ['__proto__' as string]: { status: 'down', reason: 'a\nb | c \u001b[31m <script> @everyone https://evil \u202e x' },
    'up  db': { status: 'up', reason: '**bold** [link](x) `code` \\ |' },
  } as const

  it('is harmless as text, whatever a reason says', () => {
    const text = report(Object.fromEntries(Object.entries(hostile)))
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/)
    expect(text.split('\n')).toHaveLength(4)
  })

  it('is harmless in Markdown, whatever a reason says', () => {
    const lines = report(hostile, 'markdown').trim().split('\n')
    expect(lines).toHaveLength(6)
    for (const line of lines.slice(4)) {
      expect(line.replace(/\\./g, '').split('|')).toHaveLength(6)
      expect(line).not.toMatch(/<|@everyone|https:\/\/|(?<!\\)[*`[]/)
    }
  })

  it('shows nothing that cannot be seen, and no half characters', () => {
    const hidden = String.fromCodePoint(0xe0041, 0x180e, 0x3164, 0x034f)
    expect(report({ [`d${hidden}b`]: { status: 'up', reason: `ok${hidden}\ud83d` } })).toMatch(
      /^up {8}db {2}ok\ufffd?$/m,
    )
  })

  it('links to nothing in Markdown, with or without a protocol', () => {
    const text = report({ web: { status: 'down', reason: 'see www.evil.example, WWW.evil.example' } }, 'markdown')
    expect(text).not.toMatch(/www\./i)
  })

  it('keeps hostile names in JSON', () => {
    const components = new Map([['__proto__', { status: 'down', reason: 'gone' }]] as const)
    const text = healthReport({ status: 'down', components }, { format: 'json', at })
    expect(Object.keys((JSON.parse(text) as { components: object }).components)).toEqual(['__proto__'])
  })

  it('has three formats', () => {
    expect(() => report({}, 'xml' as 'text')).toThrow('format must be one of text, json, markdown')
  })
})

it.each([
  ['up', 0],
  ['degraded', 1],
  ['down', 2],
  ['unknown', 3],
  ['constructor', 3],
] as const)('%s ends a program with %i', (status, code) => {
  expect(exitCodeOf(status as HealthStatus)).toBe(code)
})

describe('the command line', () => {
  async function run(...argv: string[]) {
    const health = new HealthMonitor({
      checks: { db: { check: () => true }, api: { check: () => false, critical: false } },
      loop: false,
    })
    let output = ''
    const code = await healthCommand(health, argv, { write: (text) => (output += text) })
    return { code, output, health }
  }

  it('looks at one component', async () => {
    expect(await run('check', 'api')).toMatchObject({ code: 2, output: 'api is down: the check returned false\n' })
    const { code, output } = await run('check', 'db', '--format', 'json')
    expect([code, JSON.parse(output)]).toMatchObject([0, { status: 'up', components: { db: { status: 'up' } } }])
  })

  it('looks at everything', async () => {
    const { code, output } = await run('check')
    expect([code, output]).toEqual([1, expect.stringContaining('down      api  the check returned false')])
  })

  it('reports, and looks first when nothing is known', async () => {
    const { code, output } = await run('report', '--format', 'markdown')
    expect([code, output]).toEqual([1, expect.stringContaining('**health is degraded**')])
  })

  it('watches, a line a time, and stops what it started', async () => {
    const clock = new FakeClock(at)
    const checks = { api: { check: () => false, critical: false } }
    const health = new HealthMonitor({ checks, clock })
    let output = ''
    const argv = ['watch', '--every', '30s', '--for', '1m']
    const ending = healthCommand(health, argv, { write: (text) => (output += text) })
    await clock.advance(60_000)
    expect([await ending, health.isRunning, clock.pending]).toEqual([1, false, 0])
    expect(output.split('\n')).toEqual([
      '2026-01-01T00:00:00.000Z  degraded  60 s left  api is down (the check returned false)',
      '2026-01-01T00:00:30.000Z  degraded  30 s left  api is down (the check returned false)',
      '2026-01-01T00:01:00.000Z  degraded  0 s left  api is down (the check returned false)',
      '',
    ])
  })

  it('ends a watch when it is down', async () => {
    const health = new HealthMonitor({ checks: { db: { check: () => false } }, loop: false })
    let output = ''
    await health.start()
    const code = await healthCommand(health, ['watch'], { write: (text) => (output += text) })
    expect([code, output, health.isRunning]).toEqual([2, expect.stringContaining('this ends the watch'), true])
    await health.stop()
  })

  it('helps', async () => {
    expect(await run('--help')).toMatchObject({ code: 0, output: expect.stringContaining('check [name]') as unknown })
  })

  it.each([
    [[], 'Say what to do; --help tells what there is'],
    [['chekc'], 'There is no command "chekc"'],
    [['check', 'cache'], 'There is no check "cache"; there are: db, api'],
    [['check', 'db', 'api'], 'check takes one name'],
    [['report', 'db'], 'report takes no name'],
    [['report', '--format', 'xml'], 'There is no format "xml"; there are: text, json, markdown'],
    [['watch', '--every', '30'], '--every takes a time such as 500ms, 30s, 5m or 1h, not "30"'],
    [['watch', '--every', '1ms'], '--every takes a time'],
    [['watch', '--format', 'json'], 'watch writes a line a time'],
    [['check', '--all'], "Unknown option '--all'"],
    [['check', 'a\nb\u001b[2J'], 'There is no check "a\\nb\\u001b[2J"'],
  ])('answers %j with one line and 3', async (argv, line) => {
    const { code, output } = await run(...argv)
    expect([code, output]).toEqual([3, expect.stringContaining(line)])
    expect(output.trimEnd()).not.toContain('\n')
  })
})
