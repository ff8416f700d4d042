import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HistogramSample } from './metric-family.js'
import { Metrics } from './metrics.js'
import { MetricsPage } from './metrics-page.js'

let clock: FakeClock
let metrics: Metrics
let warnings: string[]

beforeEach(() => {
  clock = new FakeClock()
  metrics = new Metrics({ clock })
  warnings = []
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)))
})

afterEach(() => {
  vi.restoreAllMocks()
})

/** What is collected under a full name: by labels, the value. */
function collected(name: string) {
  const family = metrics.collect().find((each) => each.name === name)
  return [...(family?.samples ?? [])].map((sample) => ({
    ...sample.labels,
    value: 'value' in sample ? sample.value : countsOf(sample),
  }))
}

function countsOf({ bounds, counts }: HistogramSample): Record<string, number> {
  return Object.fromEntries(bounds.flatMap((bound, at) => ((counts[at] ?? 0) > 0 ? [[bound, counts[at] ?? 0]] : [])))
}

describe('a counter', () => {
  it('grows, and says so under a name that ends as its type demands', () => {
    const replies = metrics.counter('bot_replies', { help: 'Replies sent.' })
    replies.add()
    replies.add(2)
    expect(replies.value).toBe(3)
    expect(collected('bot_replies_total')).toEqual([{ value: 3 }])
  })

  it.each([-1, NaN, Infinity, 'x', '5', 5n, true, null] as number[])('does not grow by %o, and warns once', (by) => {
    const replies = metrics.counter('bot_replies', { help: 'Replies sent.' })
    replies.add(by)
    replies.add(by)
    expect(replies.value).toBe(0)
    expect(warnings).toEqual([expect.stringContaining('bot_replies_total: a counter cannot grow by')])
  })
})

describe('a gauge', () => {
  it('is what it was set to, in the unit of its name', () => {
    const queue = metrics.gauge('bot_queue', { help: 'Waiting.' })
    queue.set(5)
    queue.add(-2)
    metrics.gauge('bot_lag', { help: 'Lag.', unit: 'ms' }).set(250)
    expect(collected('bot_queue')).toEqual([{ value: 3 }])
    expect(collected('bot_lag_seconds')).toEqual([{ value: 0.25 }])
  })

  it('is read when somebody looks; one that throws is left out, and the others are not', () => {
    let guilds = 1
    metrics.gauge('bot_guilds', { help: 'Guilds.', read: () => guilds })
    metrics.gauge('bot_broken', {
      help: 'Broken.',
      read: () => {
        throw new Error('logged out')
      },
    })
    guilds = 7
    expect(collected('bot_guilds')).toEqual([{ value: 7 }])
    expect(metrics.collect().map(({ name }) => name)).toEqual(['bot_guilds'])
    expect(warnings).toEqual([expect.stringContaining('logged out')])
  })

  it('keeps its value when it is set to what is no number', () => {
    const queue = metrics.gauge('bot_queue', { help: 'Waiting.' })
    queue.set(3)
    for (const value of ['many', '5', 5n, null] as unknown[] as number[]) {
      queue.set(value)
      queue.add(value)
    }
    expect(queue.value).toBe(3)
    expect(warnings).toHaveLength(1)
  })
})

describe('a histogram', () => {
  it('counts by size, bounds inclusive, in seconds when it was recorded in ms', () => {
    const took = metrics.histogram('bot_reply', { help: 'Replies.', unit: 'ms', smallest: 1, largest: 4 })
    for (const ms of [0, 1, 1.001, 2, 4, 5]) took.observe(ms)
    expect(collected('bot_reply_seconds')).toEqual([{ value: { 0.001: 2, 0.002: 2, 0.004: 1, Infinity: 1 } }])
    expect([took.count, took.sum]).toEqual([6, 13.001])
  })

  it.each([-1, NaN, Infinity, '5', 5n, true, null] as number[])('does not take %o, and warns once', (value) => {
    const took = metrics.histogram('bot_reply', { help: 'Replies.', unit: 'ms' })
    took.observe(value)
    took.observe(value)
    expect([took.count, took.sum]).toEqual([0, 0])
    expect(warnings).toHaveLength(1)
  })

  it('tells what was observed within its window, and nothing once that has passed', async () => {
    const took = metrics.histogram('bot_reply', { help: 'Replies.', unit: 'ms', windowMs: 60_000 })
    expect(took.recent()).toMatchObject({ count: 0, mean: undefined })
    for (let ms = 1; ms <= 100; ms++) took.observe(ms)
    await clock.advance(45_000)
    took.observe(1_000)
    expect(took.recent()).toMatchObject({ count: 101, mean: (5_050 + 1_000) / 101 })
    expect(took.recent().percentile(50)).toBeCloseTo(51, -1)
    await clock.advance(30_000)
    expect(took.recent()).toMatchObject({ count: 1, mean: 1_000 })
    await clock.advance(60_000)
    expect(took.recent().count).toBe(0)
    expect(took.recent().percentile(99)).toBeUndefined()
    expect(took.count).toBe(101)
  })

  it('tells percentiles of its window within 6 %, whatever was observed', async () => {
    const sizes = fc.oneof(fc.double({ min: 1, max: 32_768, noNaN: true }), fc.constantFrom(1, 1.001, 256.01, 32_768))
    const round = fc.array(sizes, { minLength: 1, maxLength: 60 })
    let took = 0
    await fc.assert(
      fc.asyncProperty(round, round, fc.integer({ min: 0, max: 100 }), async (before, within, percentage) => {
        const histogram = metrics.histogram(`bot_size_${took++}`, { help: 'Sizes.', windowMs: 60_000 })
        for (const value of before) histogram.observe(value)
        await clock.advance(75_000)
        for (const value of within) histogram.observe(value)
        const rank = Math.max(1, Math.ceil((percentage / 100) * within.length))
        const truth = within.toSorted((a, b) => a - b)[rank - 1] ?? NaN
        const told = histogram.recent().percentile(percentage) ?? NaN
        expect(Math.abs(told - truth) / truth).toBeLessThanOrEqual(0.06)
      }),
    )
  })

  it('takes 0 and what is far above its largest bound', () => {
    const sizes = metrics.histogram('bot_size', { help: 'Sizes.', largest: 4 })
    for (const value of [0, -0, 5e-324, 1e300]) sizes.observe(value)
    expect(collected('bot_size')).toEqual([{ value: { 1: 3, Infinity: 1 } }])
    expect(sizes.recent().percentile(50)).toBe(1)
    expect(sizes.recent().percentile(100)).toBe(Infinity)
    expect(new MetricsPage(metrics).render().text).toContain('bot_size_sum 1e+300\n')
  })

  it('has no timer while nothing happens, and begins anew afterwards', async () => {
    const took = metrics.histogram('bot_reply', { help: 'Replies.', unit: 'ms' })
    expect(clock.pending).toBe(0)
    took.observe(5)
    expect(clock.pending).toBe(1)
    await clock.advance(600_000)
    expect(clock.pending).toBe(0)
    took.observe(7)
    expect(took.recent()).toMatchObject({ count: 1, mean: 7 })
  })

  it.each([-1, 101, NaN])('knows no percentile %s', (percentage) => {
    const took = metrics.histogram('bot_reply', { help: 'Replies.' })
    expect(() => took.recent().percentile(percentage)).toThrow(RangeError)
  })
})

describe('labels', () => {
  it('have a handle for each set of values, always the same', () => {
    const replies = metrics.counter('bot_replies', { help: 'Replies.', labels: ['kind', 'to'] })
    replies.with({ kind: 'text', to: 'dm' }).add()
    replies.with({ to: 'dm', kind: 'text' }).add()
    replies.with({ kind: 'image', to: 'dm' }).add(5)
    expect(collected('bot_replies_total')).toEqual([
      { kind: 'text', to: 'dm', value: 2 },
      { kind: 'image', to: 'dm', value: 5 },
    ])
  })

  it('keep apart values that look alike when they are put together', () => {
    const pairs = metrics.counter('bot_pairs', { help: 'Pairs.', labels: ['a', 'b'] })
    const hostile = [
      ['1:a', ''],
      ['', '1:a'],
      ['a\u00001', 'b'],
      ['a', '\u00001b'],
      ['__proto__', 'constructor'],
      ['e\u0301', '\u00e9'],
      ['\u00e9', 'e\u0301'],
    ]
    for (const [a = '', b = ''] of hostile) pairs.with({ a, b }).add()
    expect(collected('bot_pairs_total')).toEqual(hostile.map(([a, b]) => ({ a, b, value: 1 })))
  })

  it('keep apart a value and what it is kept under', () => {
    const uses = metrics.counter('bot_uses', { help: 'Uses.', labels: ['what'] })
    for (const what of ['a', '1:a', '3:1:a', '1:a']) uses.with({ what }).add()
    expect(collected('bot_uses_total')).toEqual([
      { what: 'a', value: 1 },
      { what: '1:a', value: 2 },
      { what: '3:1:a', value: 1 },
    ])
  })

  it('make no more series than allowed: what comes new is counted as other, with one warning', () => {
    const uses = metrics.counter('bot_uses', { help: 'Uses.', labels: ['guild'], maxSeries: 3 })
    for (let guild = 0; guild < 10_000; guild++) uses.with({ guild: String(guild) }).add()
    uses.with({ guild: '1' }).add()
    expect(collected('bot_uses_total')).toEqual([
      { guild: '0', value: 1 },
      { guild: '1', value: 2 },
      { guild: '2', value: 1 },
      { guild: 'other', value: 9_997 },
    ])
    expect(warnings).toEqual([expect.stringContaining('bot_uses_total: it has 3 series')])
  })

  it('are cut when they are long, and mended when they are no text', () => {
    const uses = metrics.counter('bot_uses', { help: 'Uses.', labels: ['what'] })
    uses.with({ what: 'x'.repeat(10_000) }).add()
    uses.with({ what: `${'x'.repeat(5_000)}y` }).add()
    uses.with({ what: 'a\ud800' }).add()
    uses.with({ what: 'a\udfff' }).add()
    expect(collected('bot_uses_total')).toEqual([
      { what: `${'x'.repeat(199)}…`, value: 2 },
      { what: 'a\ufffd', value: 2 },
    ])
  })

  it('must all be there, and no others', () => {
    const uses = metrics.counter('bot_uses', { help: 'Uses.', labels: ['what'] })
    const use = uses as unknown as { with(labels: object): unknown }
    expect(() => use.with({})).toThrow('the label what needs a value')
    expect(() => use.with({ what: null })).toThrow(TypeError)
    expect(() => use.with({ what: 'a', who: 'b' })).toThrow('there is no label who')
  })
})

describe('a name', () => {
  it.each([
    '',
    'Bot',
    'bot:replies',
    'bot-replies',
    '1bot',
    'bot__x',
    'bot_replies_total',
    'bot_reply_bucket',
    'bot_reply_ms',
    'ботик',
  ])('cannot be %s', (name) => {
    expect(() => metrics.counter(name, { help: 'Help.' })).toThrow(TypeError)
    expect(metrics.collect()).toEqual([])
  })

  it.each(['le', 'quantile', '__name__', 'guildId', ''])('of a histogram’s label cannot be %s', (label) => {
    expect(() => metrics.histogram('bot_reply', { help: 'Help.', labels: [label] })).toThrow(TypeError)
  })

  it('is taken by the first who declares it, with all that its type puts on a page', () => {
    metrics.histogram('bot_reply', { help: 'Replies.' })
    expect(() => metrics.gauge('bot_reply', { help: 'Again.' })).toThrow('bot_reply is taken')
    metrics.calls('bot_command', { help: 'Commands.' })
    expect(() => metrics.counter('bot_command_failures', { help: 'Again.' })).toThrow('is taken')
    expect(metrics.collect()).toHaveLength(4)
  })

  it.each(['bot_command_duration', 'bot_command_seconds', 'bot_command_duration_seconds', 'bot_command_active'])(
    'of calls cannot be %s, which says what will be added',
    (name) => {
      expect(() => metrics.calls(name, { help: 'Commands.' })).toThrow(`Metrics: leave`)
      expect(metrics.collect()).toEqual([])
    },
  )

  it('that could not be declared is still free', () => {
    expect(() => metrics.histogram('bot_reply', { help: 'Help.', labels: ['le'] })).toThrow(TypeError)
    metrics.histogram('bot_reply', { help: 'Help.' })
  })
})

describe('options', () => {
  it.each([
    [{}, 'needs help'],
    [{ help: ' ' }, 'needs help'],
    [{ help: 'x', maxSeries: 0 }, 'maxSeries'],
    [{ help: 'x', label: ['a'] }, 'no option "label"'],
    [{ help: 'x', labels: [] }, 'list of names'],
    [{ help: 'x', labels: ['a', 'a'] }, 'twice'],
    [{ help: 'x', unit: 'minutes' }, 'unit'],
    [{ help: 'x', smallest: 0 }, 'smallest'],
    [{ help: 'x', smallest: 5, largest: 5 }, 'smallest'],
    [{ help: 'x', windowMs: 10 }, 'windowMs'],
  ])('that cannot be honoured are refused: %j', (options, message) => {
    expect(() => metrics.histogram('bot_reply', options as never)).toThrow(message)
  })
})

describe('calls', () => {
  it('are counted with their failures and durations', async () => {
    const commands = metrics.calls('bot_command', { help: 'Commands.' })
    const done = commands.begin()
    await clock.advance(10)
    expect(commands.active).toBe(1)
    done()
    done(new Error('too late'))
    commands.begin()(new Error('broke'))
    commands.record(100, true)
    expect(commands.errors()).toEqual({ calls: 3, failures: 2 })
    expect(commands.active).toBe(0)
    expect(collected('bot_command_failures_total')).toEqual([{ value: 2 }])
    expect(collected('bot_command_duration_seconds')).toEqual([{ value: { 0.001: 1, 0.016: 1, 0.128: 1 } }])
    expect(commands.recent().count).toBe(3)
  })

  it('are timed until they settle, and pass on what they return and throw', async () => {
    const commands = metrics.calls('bot_command', { help: 'Commands.' })
    expect(commands.time(() => 7)).toBe(7)
    const broken = new Error('broken')
    expect(() =>
      commands.time(() => {
        throw broken
      }),
    ).toThrow(broken)
    await expect(commands.time(async () => 'later')).resolves.toBe('later')
    await expect(commands.time(() => Promise.reject(broken))).rejects.toBe(broken)
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- people do
    await expect(commands.time(() => Promise.reject(undefined))).rejects.toBeUndefined()
    expect(commands.errors()).toEqual({ calls: 5, failures: 3 })
    expect(commands.active).toBe(0)
  })

  it('that hang are seen under way', () => {
    const commands = metrics.calls('bot_command', { help: 'Commands.', labels: ['command'] })
    void commands.with({ command: 'remind' }).time(() => new Promise(() => {}))
    expect(collected('bot_command_active')).toEqual([{ command: 'remind', value: 1 }])
  })

  it('have no failure where they have no duration', () => {
    const commands = metrics.calls('bot_command', { help: 'Commands.' })
    for (const tookMs of [NaN, '12', 12n] as number[]) commands.record(tookMs, true)
    expect(commands.errors()).toEqual({ calls: 0, failures: 0 })
  })

  it('give checks what they ask for, one series or all of them together', () => {
    const commands = metrics.calls('bot_command', { help: 'Commands.', labels: ['command'] })
    expect(commands.errors()).toEqual({ calls: 0, failures: 0 })
    expect(commands.latency()).toEqual({ bounds: [Infinity], counts: [0] })
    commands.with({ command: 'remind' }).record(5)
    commands.with({ command: 'search' }).record(5, true)
    commands.with({ command: 'search' }).record(60_000)
    expect(commands.errors()).toEqual({ calls: 3, failures: 1 })
    const { bounds, counts } = commands.latency()
    expect(bounds).toHaveLength(counts.length)
    expect(bounds.at(-1)).toBe(Infinity)
    expect(counts.at(-1)).toBe(1)
    expect(counts[bounds.indexOf(5)]).toBe(2)
  })
})
