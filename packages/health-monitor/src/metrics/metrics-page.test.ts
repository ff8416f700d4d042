import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { parseMetrics } from '../test-support/parse-metrics.js'
import { healthMetrics } from './health-metrics.js'
import type { MetricFamily } from './metric-family.js'
import { MetricsPage, preferredFormat } from './metrics-page.js'
import { Metrics } from './metrics.js'
import { ProcessMetrics } from './process-metrics.js'

let warnings: string[]

beforeEach(() => {
  warnings = []
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)))
})

afterEach(() => {
  vi.restoreAllMocks()
})

const health = {
  status: 'degraded',
  components: new Map([
    ['database', { status: 'up', since: 1_000, observedAt: 2_000, tookMs: 12 }],
    ['say "hi"\\\n', { status: 'unknown', since: 1_500, observedAt: undefined, tookMs: undefined }],
  ]),
}

/** Something of everything. */
function bot(): MetricsPage {
  const metrics = new Metrics()
  const commands = metrics.calls('bot_command', { help: 'Commands.', labels: ['command'] })
  commands.with({ command: 'remind' }).record(12)
  commands.with({ command: 'search' }).record(99_999, true)
  metrics.gauge('bot_guilds', { help: 'Guilds, "all" of \\ them.\nReally.' }).set(NaN)
  metrics.gauge('bot_room', { help: 'Room.', unit: 'bytes' }).set(Infinity)
  metrics.gauge('bot_busy', { help: 'Busy.', unit: 'ratio' }).set(-Infinity)
  metrics
    .counter('bot_replies', { help: 'Replies.', labels: ['kind'] })
    .with({ kind: 'a"\\\n' })
    .add(1e21)
  return new MetricsPage(metrics, new ProcessMetrics({ build: { version: '1.4.0' } }), healthMetrics(health))
}

function page(...families: MetricFamily[]): string {
  return new MetricsPage({ collect: () => families }).render().text
}

const gauge = (
  name: string,
  samples: Extract<MetricFamily, { type: 'gauge' | 'counter' }>['samples'],
): MetricFamily => ({
  name,
  help: 'Help.',
  type: 'gauge',
  samples,
})

describe('a page', () => {
  it('is what the specification says, escapes and all', () => {
    const families = parseMetrics(bot().render().text)
    const samples = families.flatMap((family) => family.samples)
    const value = (name: string, labels = {}): number | undefined =>
      samples.find((sample) => sample.name === name && JSON.stringify(sample.labels) === JSON.stringify(labels))?.value
    expect(value('bot_guilds')).toBeNaN()
    expect(value('bot_room_bytes')).toBe(Infinity)
    expect(value('bot_busy_ratio')).toBe(-Infinity)
    expect(value('bot_replies_total', { kind: 'a"\\\n' })).toBe(1e21)
    expect(value('bot_command_duration_seconds_bucket', { command: 'search', le: '+Inf' })).toBe(1)
    expect(value('bot_command_duration_seconds_sum', { command: 'search' })).toBe(99.999)
    expect(value('health_status', { status: 'degraded' })).toBe(1)
    expect(value('health_component_status', { component: 'say "hi"\\\n', status: 'unknown' })).toBe(1)
    expect(value('health_component_status_since_timestamp_seconds', { component: 'database' })).toBe(1)
    expect(value('health_component_check_duration_seconds', { component: 'database' })).toBe(0.012)
    expect(value('build_info', { version: '1.4.0' })).toBe(1)
    expect(families.find(({ name }) => name === 'bot_guilds')?.help).toBe('Guilds, "all" of \\ them.\nReally.')
    expect(warnings).toEqual([])
  })

  it('can be read whatever is in it, and says the same', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\\', '\\n', '"', '\n', '\r', '{}', ' # ', 'é'),
    )
    const cases = fc.record({
      help: text.filter((help) => help.trim() !== ''),
      rows: fc.array(fc.tuple(text, text, fc.double()), { maxLength: 8 }),
      observed: fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: 20 }),
    })
    fc.assert(
      fc.property(cases, ({ help, rows, observed }) => {
        const metrics = new Metrics()
        const gauges = metrics.gauge('g', { help, labels: ['a', 'b'] })
        const expected = new Map<string, number>()
        for (const [a, b, value] of rows) {
          gauges.with({ a, b }).set(value)
          expected.set(JSON.stringify({ a: a.slice(0, 200), b: b.slice(0, 200) }), value)
        }
        const sizes = metrics.histogram('h', { help, labels: ['a'] })
        for (const [a] of rows) for (const value of observed) sizes.with({ a }).observe(value)
        const families = parseMetrics(new MetricsPage(metrics).render().text)
        const read = families.find(({ name }) => name === 'g')
        const told = new Map(read?.samples.map(({ labels, value }) => [JSON.stringify({ ...labels }), value]))
        // String() because -0 is written as 0.
        expect([...told].map(String)).toEqual([...expected].map(String))
        if (read !== undefined) expect(read.help).toBe(help.trim())
      }),
      { numRuns: 300 },
    )
  })

  it.skipIf(spawnSync('promtool', ['--version']).status !== 0)('pleases promtool', () => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: bot().render().text })
    expect(`${String(stdout)}${String(stderr)}`).toBe('')
    expect(status).toBe(0)
  })

  it('leaves out, with one warning, what would spoil it', () => {
    const metric = new Metrics()
    metric.histogram('taken', { help: 'Help.' }).observe(1)
    const strange: MetricFamily[] = [
      gauge('with space', [{ labels: {}, value: 1 }]),
      gauge('taken_count', [{ labels: {}, value: 1 }]),
      gauge('early_sum', [{ labels: {}, value: 1 }]),
      {
        name: 'early',
        help: 'Help.',
        type: 'histogram',
        samples: [{ labels: {}, bounds: [Infinity], counts: [1], sum: 1 }],
      },
      gauge('twice', [
        { labels: { a: 'x' }, value: 1 },
        { labels: { a: 'x' }, value: 2 },
      ]),
      gauge('bad_label', [{ labels: { 'a-b': 'x' }, value: 1 }]),
      gauge('no_number', [{ labels: {}, value: undefined as never }]),
      gauge('a_text', [{ labels: {}, value: '12' as never }]),
      { ...gauge('no_type', [{ labels: {}, value: 1 }]), type: 'summary' as never },
      {
        name: 'no_sum',
        help: 'Help.',
        type: 'histogram',
        samples: [{ labels: {}, bounds: [1, Infinity], counts: [1, 0], sum: undefined as never }],
      },
      ...[
        [2, 1, Infinity],
        [1, 1, Infinity],
        [NaN, Infinity],
      ].map((bounds, at): MetricFamily => {
        const counts = bounds.map(() => 1)
        return {
          name: `bounds_${at}`,
          help: 'Help.',
          type: 'histogram',
          samples: [{ labels: {}, bounds, counts, sum: 1 }],
        }
      }),
      {
        name: 'no_counts',
        help: 'Help.',
        type: 'histogram',
        samples: [{ labels: {}, bounds: [1, Infinity], counts: [1, -1], sum: 1 }],
      },
      gauge('turned', [
        { labels: { a: 'x', b: 'y' }, value: 1 },
        { labels: { b: 'y', a: 'x' }, value: 2 },
      ]),
      gauge('fine', [{ labels: {}, value: 1 }]),
    ]
    const broken = {
      collect(): MetricFamily[] {
        throw new Error('out of order')
      },
    }
    const pages = new MetricsPage(metric, broken, { collect: () => strange })
    for (let times = 0; times < 3; times++) {
      expect(parseMetrics(pages.render().text).map(({ name }) => name)).toEqual(['taken', 'early_sum', 'fine'])
    }
    expect(warnings).toHaveLength(15)
    expect(warnings.join('\n')).toMatch(/source 2: out of order/)
  })

  it('has no header for a metric without series', () => {
    expect(page(gauge('nothing', []))).toBe('')
  })

  it('is made of sources', () => {
    expect(() => new MetricsPage({} as never)).toThrow('source 1 has no collect()')
  })
})

describe('OpenMetrics', () => {
  it('is written as it demands', () => {
    const metrics = new Metrics()
    metrics.counter('bot_up', { help: 'Say "up".', unit: 'seconds' }).add(5)
    metrics.histogram('bot_size', { help: 'Sizes.', smallest: 1, largest: 2 }).observe(2)
    const { contentType, text } = new MetricsPage(metrics).render('application/openmetrics-text; version=1.0.0')
    expect(contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect(text.split('\n')).toEqual([
      '# HELP bot_up_seconds Say \\"up\\".',
      '# TYPE bot_up_seconds counter',
      '# UNIT bot_up_seconds seconds',
      'bot_up_seconds_total 5',
      '# HELP bot_size Sizes.',
      '# TYPE bot_size histogram',
      'bot_size_bucket{le="1.0"} 0',
      'bot_size_bucket{le="2.0"} 1',
      'bot_size_bucket{le="+Inf"} 1',
      'bot_size_sum 2',
      'bot_size_count 1',
      '# EOF',
      '',
    ])
  })

  it.each([
    [undefined, 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/html', 'prometheus'],
    // What Prometheus 2.42 and 3 send.
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      'openmetrics',
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      'openmetrics',
    ],
    ['application/openmetrics-text;q=0', 'prometheus'],
    ['application/openmetrics-text;q=0.1, text/plain', 'prometheus'],
    ['application/openmetrics-text;q=high', 'prometheus'],
  ])('is for those who prefer it: %s', (accept, format) => {
    expect(preferredFormat(accept)).toBe(format)
  })
})
