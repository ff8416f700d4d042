import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { EventEmitter } from 'eventemitter3'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ComponentReport } from '../ports.js'
import type { NotDrainedError } from './errors.js'
import { NoImplementationError } from './errors.js'
import type { RegistryChange, RegistryFallback } from './events.js'
import type { RegistryOptions } from './options.js'
import { Registry } from './registry.js'

interface Translator {
  translate(text: string, signal?: AbortSignal): Promise<string>
  languages(): string[]
}

type Component = 'deepl' | 'azure'

class Health extends EventEmitter<{ change: [] }> {
  readonly components = new Map<Component, ComponentReport>([
    ['deepl', { status: 'up', reason: '' }],
    ['azure', { status: 'up', reason: '' }],
  ])

  report(component: Component, status: ComponentReport['status'], reason = ''): void {
    this.components.set(component, { status, reason })
    this.emit('change')
  }
}

/** Says who translated, and takes as long as it is told. */
class Service implements Translator {
  readonly calls: string[] = []
  delayMs = 0
  failure: unknown

  constructor(readonly name: string) {}

  async translate(text: string): Promise<string> {
    this.calls.push(text)
    if (this.delayMs > 0) await new Promise<void>((resolve) => clock.after(this.delayMs, resolve))
    if (this.failure !== undefined) throw this.failure as Error
    return `${text} by ${this.name}`
  }

  languages(): string[] {
    if (this.failure !== undefined) throw this.failure as Error
    return [this.name]
  }

  close(): void {}
}

let clock: FakeClock
let health: Health
let deepl: Service
let azure: Service
let local: Service
let off: Set<string>
let news: RegistryChange[]
let fallbacks: RegistryFallback[]

beforeEach(() => {
  clock = new FakeClock()
  health = new Health()
  deepl = new Service('deepl')
  azure = new Service('azure')
  local = new Service('local')
  off = new Set()
  news = []
  fallbacks = []
})

type Name = 'deepl' | 'azure' | 'local'

function aRegistry(options: Partial<RegistryOptions<Translator, Name, Component>> = {}) {
  const registry = new Registry<Translator, Name, Component>({
    name: 'translators',
    implementations: {
      deepl: { use: deepl, when: ({ guildId }) => !off.has(guildId ?? 'nobody'), component: 'deepl' },
      azure: { use: azure, component: 'azure' },
      local: { use: local },
    },
    health,
    clock,
    ...options,
  })
  registry.on('change', (change) => news.push(change))
  registry.on('fallback', (fallback) => fallbacks.push(fallback))
  return registry
}

const notDone = (message: string): Error => Object.assign(new Error(message), { applied: 'no' })

describe('the choice', () => {
  it('is the first whose flag says yes and whose component is not down, and says why', () => {
    const registry = aRegistry()
    expect(registry.pick()).toEqual({ name: 'deepl', use: deepl, why: 'it comes first, and component "deepl" is up' })
    off.add('7')
    expect(registry.pick({ guildId: '7' })).toEqual({
      name: 'azure',
      use: azure,
      why: '"deepl" is passed over: its flag says no',
    })
    health.report('azure', 'down', 'connection refused')
    expect(registry.explain({ guildId: '7' })).toEqual({
      name: 'local',
      why: '"deepl" is passed over: its flag says no; "azure" is passed over: component "azure" is down: connection refused',
      implementations: [
        { name: 'deepl', mayServe: false, why: 'its flag says no', inFlight: 0 },
        { name: 'azure', mayServe: false, why: 'component "azure" is down: connection refused', inFlight: 0 },
        { name: 'local', mayServe: true, why: 'it needs no component', inFlight: 0 },
      ],
    })
    expect(registry.pick({ guildId: '8', userId: null }).name).toBe('deepl')
  })

  it('stays with what is degraded, and takes an unknown component for what it was', async () => {
    const registry = aRegistry()
    await registry.start()
    health.report('deepl', 'degraded')
    expect(registry.pick().name).toBe('deepl')
    health.report('deepl', 'down')
    expect(registry.pick().name).toBe('azure')
    health.report('deepl', 'unknown')
    expect(registry.pick().name).toBe('azure')
    health.report('deepl', 'up')
    health.report('deepl', 'unknown')
    expect(registry.pick().name).toBe('deepl')
  })

  it('passes over a flag that cannot be asked', async () => {
    const warnings: string[] = []
    const listen = ({ message }: Error): void => void warnings.push(message)
    process.on('warning', listen)
    const when = (): boolean => {
      throw new Error('no such flag')
    }
    const registry = aRegistry({
      implementations: { deepl: { use: deepl, when }, azure: { use: azure }, local: { use: local } },
    })
    expect(registry.pick().name).toBe('azure')
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings).toEqual([
      'The flag of "deepl" in "translators" could not be asked, so it counts as off: no such flag',
    ])
  })

  it('refuses at once where nothing may serve', async () => {
    const registry = aRegistry({
      implementations: {
        deepl: { use: deepl, when: () => false },
        azure: { use: azure, component: 'azure' },
        local: { use: local, when: () => false },
      },
    })
    health.report('azure', 'down')
    expect(() => registry.pick()).toThrow(NoImplementationError)
    await expect(registry.port.translate('tea')).rejects.toMatchObject({
      code: 'NO_IMPLEMENTATION',
      retryable: true,
      applied: 'no',
      registry: 'translators',
    })
    expect(registry.explain().name).toBeUndefined()
    registry.use('local', { why: 'whatever works' })
    expect(await registry.port.translate('tea')).toBe('tea by local')
  })
})

describe('a call', () => {
  it('goes to what is chosen when it is made, for whom it is made, and ends there', async () => {
    const registry = aRegistry()
    deepl.delayMs = 100
    const before = registry.port.translate('before')
    off.add('nobody')
    off.add('7')
    const { translate } = registry.for({ guildId: '7' })
    expect(await registry.port.translate('after')).toBe('after by azure')
    expect(await translate('guild')).toBe('guild by azure')
    off.clear()
    await clock.advance(100)
    expect(await before).toBe('before by deepl')
    deepl.delayMs = 0
    expect(await translate('again')).toBe('again by deepl')
    expect(await registry.port.languages()).toEqual(['deepl'])
  })

  it('is passed on only when its failure says that nothing was done', async () => {
    const registry = aRegistry()
    deepl.failure = new Error('a failure that says nothing')
    await expect(registry.port.translate('one')).rejects.toBe(deepl.failure)
    deepl.failure = Object.assign(new Error('timeout'), { applied: 'unknown' })
    await expect(registry.port.translate('two')).rejects.toBe(deepl.failure)
    deepl.failure = new Error('wrapped', { cause: Object.assign(notDone('aborted'), { name: 'AbortError' }) })
    expect(await registry.port.translate('three')).toBe('three by azure')
    expect(azure.calls).toEqual(['three'])
    expect(fallbacks).toMatchObject([
      {
        what: 'translate',
        from: 'deepl',
        to: 'azure',
        error: deepl.failure,
        severity: 'WARNING',
        message: 'translate of "deepl" failed, so "azure" was tried: wrapped.',
      },
    ])
  })

  it('is passed on after any failure where twice does no harm, and fails with the last one', async () => {
    const registry = aRegistry({ idempotent: ['languages'] })
    deepl.failure = new Error('one')
    azure.failure = new Error('two')
    expect(await registry.port.languages()).toEqual(['local'])
    local.failure = new Error('three')
    await expect(registry.port.languages()).rejects.toBe(local.failure)
    await expect(registry.port.translate('tea')).rejects.toBe(deepl.failure)
  })

  it('is never passed on to what was passed over', async () => {
    const registry = aRegistry({ idempotent: true })
    registry.use('azure', { why: 'a trial' })
    health.report('azure', 'down')
    azure.failure = notDone('maintenance')
    expect(await registry.port.translate('tea')).toBe('tea by local')
    expect(deepl.calls).toEqual([])
  })

  it('is not passed on for a mistake of the user, nor when its caller has gone', async () => {
    const registry = aRegistry({
      idempotent: true,
      isUserError: (error) => (error as Error).message === 'no such language',
    })
    deepl.failure = new Error('no such language')
    await expect(registry.port.translate('tea')).rejects.toBe(deepl.failure)
    deepl.failure = new Error('gone')
    await expect(registry.port.translate('tea', AbortSignal.abort())).rejects.toBe(deepl.failure)
    expect(azure.calls).toEqual([])
  })
})

describe('by hand', () => {
  it('wins over flags and health until it is cleared', async () => {
    const registry = aRegistry()
    await registry.start()
    registry.use('azure', { why: 'a trial', by: 'ada' })
    health.report('azure', 'down')
    expect(registry.pick({ guildId: '7' })).toMatchObject({ name: 'azure', why: 'set by hand by ada: a trial' })
    registry.clear({ why: 'the trial is over' })
    registry.clear({ why: 'again' })
    expect(registry.pick().name).toBe('deepl')
    expect(news.map(({ from, to, severity, message }) => [from, to, severity, message])).toEqual([
      ['deepl', 'azure', 'INFO', 'translators went from "deepl" to "azure": set by hand by ada: a trial.'],
      [
        'azure',
        'deepl',
        'INFO',
        'translators went from "azure" to "deepl": handed back: the trial is over; it comes first, and component "deepl" is up.',
      ],
    ])
  })

  it('ends by itself, however the wall clock is moved', async () => {
    const registry = aRegistry()
    registry.use('local', { why: 'a quiet night', forMs: 60_000 })
    clock.jump(3_600_000)
    await clock.advance(59_999)
    expect(registry.pick().name).toBe('local')
    clock.jump(-7_200_000)
    await clock.advance(1)
    expect(news.map(({ to, why }) => [to, why])).toEqual([
      ['local', 'set by hand: a quiet night'],
      ['deepl', 'the choice by hand has expired; it comes first, and component "deepl" is up'],
    ])
    expect(clock.pending).toBe(0)
  })
})

describe('the news', () => {
  it('tells each change of the choice once, worse and better', async () => {
    const registry = aRegistry({
      implementations: {
        deepl: { use: deepl, component: 'deepl' },
        azure: { use: azure, component: 'azure' },
        local: { use: local, when: () => false },
      },
    })
    await registry.start()
    await registry.start()
    health.report('azure', 'degraded')
    health.report('deepl', 'down', 'quota')
    health.report('azure', 'down', 'quota')
    health.report('deepl', 'up')
    expect(news.map(({ what, from, to, at, severity }) => [what, from, to, at, severity])).toEqual([
      ['translators', 'deepl', 'azure', clock.now(), 'WARNING'],
      ['translators', 'azure', 'none', clock.now(), 'CRITICAL'],
      ['translators', 'none', 'deepl', clock.now(), 'INFO'],
    ])
    expect(news[0]?.message).toBe(
      'translators went from "deepl" to "azure": "deepl" is passed over: component "deepl" is down: quota.',
    )
    await registry.stop()
    await registry.stop()
    health.report('deepl', 'down')
    expect(news).toHaveLength(3)
    expect(health.listenerCount('change')).toBe(0)
  })

  it('of flags comes when they tell, or with the next call', async () => {
    const flags = new EventEmitter<{ change: [] }>()
    const registry = aRegistry({ flags })
    await registry.start()
    off.add('nobody')
    flags.emit('change')
    off.clear()
    await registry.port.translate('tea')
    expect(news.map(({ to }) => to)).toEqual(['azure', 'deepl'])
  })

  it('harms nothing when a listener throws', async () => {
    const registry = aRegistry()
    registry.on('change', () => {
      throw new Error('a listener')
    })
    registry.use('azure', { why: 'a test' })
    expect(await registry.port.translate('tea')).toBe('tea by azure')
  })
})

describe('drained', () => {
  it('waits until no call is under way', async () => {
    const registry = aRegistry()
    await registry.drained('deepl')
    deepl.delayMs = 100
    const call = registry.port.translate('tea')
    registry.use('azure', { why: 'an update' })
    let isDrained = false
    const draining = registry.drained('deepl', { timeoutMs: 1_000 }).then(() => (isDrained = true))
    await clock.advance(99)
    expect(isDrained).toBe(false)
    expect(registry.explain().implementations[0]?.inFlight).toBe(1)
    await clock.advance(1)
    await draining
    expect(await call).toBe('tea by deepl')
    expect(clock.pending).toBe(0)
  })

  it('waits for the last of several', async () => {
    const registry = aRegistry()
    deepl.delayMs = 100
    const first = registry.port.translate('one')
    deepl.delayMs = 200
    const second = registry.port.translate('two')
    let isDrained = false
    const draining = registry.drained('deepl').then(() => (isDrained = true))
    await clock.advance(199)
    await first
    expect(isDrained).toBe(false)
    await clock.advance(1)
    await Promise.all([second, draining])
  })

  it('gives up at its deadline, and when it is told to', async () => {
    const registry = aRegistry()
    deepl.delayMs = 10_000
    const call = registry.port.translate('tea')
    const controller = new AbortController()
    const late = expect(registry.drained('deepl', { timeoutMs: 1_000 })).rejects.toMatchObject({
      name: 'NotDrainedError',
      code: 'NOT_DRAINED',
      implementation: 'deepl',
      inFlight: 1,
      timeoutMs: 1_000,
    } satisfies Partial<NotDrainedError>)
    const aborted = expect(registry.drained('deepl', { signal: controller.signal })).rejects.toThrow('enough')
    controller.abort(new Error('enough'))
    await aborted
    await clock.advance(1_000)
    await late
    await expect(registry.drained('deepl', { signal: controller.signal })).rejects.toThrow('enough')
    await clock.advance(10_000)
    await call
    await registry.drained('deepl')
  })

  it('also after a call that failed', async () => {
    const registry = aRegistry()
    deepl.failure = new Error('a failure')
    await registry.port.translate('tea').catch(() => {})
    await registry.port.languages().catch(() => {})
    await registry.drained('deepl', { timeoutMs: 1 })
  })
})

describe('a port', () => {
  it('has the functions that all implementations have, and nothing else', () => {
    expect(Object.keys(aRegistry().port)).toEqual(['translate', 'languages', 'close'])
    const registry = new Registry<{ say(): string }>({
      implementations: {
        one: { use: { say: () => 'one', ['toString']: () => 'one', then: () => {} } as never },
        two: { use: Object.assign(Object.create(null), { say: () => 'two' }) as never },
      },
    })
    expect(Object.keys(registry.port)).toEqual(['say'])
  })

  it('keeps a hostile name an ordinary one', async () => {
    const use = Object.defineProperty({}, '__proto__', { value: () => 'called', enumerable: true })
    const registry = new Registry({ implementations: { ['__proto__']: { use } } })
    const port = registry.port as unknown as Record<string, () => Promise<string>>
    expect(Object.getPrototypeOf(port)).toBe(Object.prototype)
    expect(await port['__proto__']?.()).toBe('called')
  })
})

it.each([
  [{ implementations: {} }, 'implementations is empty'],
  [{ implementations: { none: { use: {} } } }, 'An implementation cannot be called none'],
  [{ implementations: { a: { use: { x: 1 } } } }, 'have no function in common'],
  [{ implementations: { a: { use: null } } }, 'implementations.a.use must be an object'],
  [{ implementations: { a: { use: { say: () => {} }, component: 'a' } } }, 'pass health as well'],
  [{ implementations: { a: { use: { say: () => {} }, if: () => true } } }, 'implementations.a cannot have "if"'],
  [{ implementations: { a: { use: { say: () => {} } } }, idempotent: ['sing'] }, 'idempotent names sing'],
  [{ implementations: { a: { use: { say: () => {} } } }, fallback: 'a' }, 'A Registry cannot have "fallback"'],
])('refuses %o', (options, message) => {
  expect(() => new Registry(options as never)).toThrow(message)
})

it.each([
  [(registry: ReturnType<typeof aRegistry>) => registry.use('deepl', { why: ' ' }), 'use needs a why'],
  [
    (registry: ReturnType<typeof aRegistry>) => registry.use('google' as Name, { why: 'x' }),
    'There is no implementation "google"',
  ],
  [(registry: ReturnType<typeof aRegistry>) => registry.use('deepl', { why: 'x', forMs: 0 }), 'forMs is 0'],
  [(registry: ReturnType<typeof aRegistry>) => registry.clear({ why: '' }), 'clear needs a why'],
])('refuses a wrong choice by hand: %s', (deed, message) => {
  expect(() => deed(aRegistry())).toThrow(message)
})

describe('switched at random under load', () => {
  const names = ['deepl', 'azure', 'local'] as const
  type Step =
    | {
        kind: 'call'
        idempotent: boolean
        guildId: string
        ms: number
        failures: ('no' | 'unknown' | 'unsaid' | undefined)[]
      }
    | { kind: 'health'; component: Component; status: ComponentReport['status'] }
    | { kind: 'flag'; guildId: string }
    | { kind: 'use'; name: Name; forMs: number | undefined }
    | { kind: 'clear' }
    | { kind: 'time'; ms: number }
  const ms = fc.integer({ min: 0, max: 50 })
  const guildId = fc.constantFrom('1', '2', 'nobody')
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('call' as const),
        idempotent: fc.boolean(),
        guildId,
        ms,
        failures: fc.array(fc.constantFrom('no', 'unknown', 'unsaid', undefined), { minLength: 3, maxLength: 3 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('health' as const),
        component: fc.constantFrom<Component>('deepl', 'azure'),
        status: fc.constantFrom<ComponentReport['status']>('up', 'degraded', 'down', 'unknown'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('flag' as const), guildId }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('use' as const),
        name: fc.constantFrom(...names),
        forMs: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms }) },
  )

  it('executes each call exactly once, or once more only where nothing was done or twice does no harm', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        clock = new FakeClock()
        health = new Health()
        off = new Set()
        /** By call: who executed it, in order, and what became of it. */
        const executed = new Map<number, string[]>()
        const settled = new Map<number, unknown>()
        const plans = new Map<number, Extract<Step, { kind: 'call' }>>()
        const inFlight = { deepl: 0, azure: 0, local: 0 }
        const make = (name: Name) => {
          const run = async (id: number): Promise<string> => {
            const plan = plans.get(id) as Extract<Step, { kind: 'call' }>
            executed.get(id)?.push(name)
            inFlight[name]++
            await new Promise<void>((resolve) => clock.after(plan.ms, resolve))
            inFlight[name]--
            const failure = plan.failures[names.indexOf(name)]
            if (failure === undefined) return name
            throw Object.assign(new Error(failure), failure === 'unsaid' ? {} : { applied: failure })
          }
          return { once: run, twice: run }
        }
        const registry = new Registry<ReturnType<typeof make>, Name, Component>({
          implementations: {
            deepl: {
              use: make('deepl'),
              when: ({ guildId = 'nobody' }) => !off.has(String(guildId)),
              component: 'deepl',
            },
            azure: { use: make('azure'), component: 'azure' },
            local: { use: make('local') },
          },
          idempotent: ['twice'],
          health,
          clock,
        })
        await registry.start()
        let told: string = registry.pick().name
        registry.on('change', ({ from, to }) => {
          expect(from).toBe(told)
          told = to
        })
        const calls: Promise<unknown>[] = []
        for (const [id, step] of steps.entries()) {
          switch (step.kind) {
            case 'call': {
              plans.set(id, step)
              executed.set(id, [])
              const context = step.guildId === 'nobody' ? undefined : { guildId: step.guildId }
              const chosen = registry.pick(context).name
              const call = registry.for(context)[step.idempotent ? 'twice' : 'once'](id)
              expect(executed.get(id)).toEqual([chosen])
              calls.push(
                call.then(
                  (value) => settled.set(id, value),
                  (error: unknown) => settled.set(id, error),
                ),
              )
              break
            }
            case 'health':
              health.report(step.component, step.status)
              break
            case 'flag':
              if (!off.delete(step.guildId)) off.add(step.guildId)
              break
            case 'use':
              registry.use(step.name, { why: 'a test', forMs: step.forMs })
              break
            case 'clear':
              registry.clear({ why: 'a test' })
              break
            case 'time':
              await clock.advance(step.ms)
          }
          for (const { name, inFlight: counted } of registry.explain().implementations) {
            expect(counted).toBe(inFlight[name])
          }
          expect(registry.pick().name).toBe(told)
        }
        const drained = names.map((name) => registry.drained(name))
        await clock.advance(1_000)
        await Promise.all([...calls, ...drained])
        for (const [id, { idempotent, failures }] of plans) {
          const by = executed.get(id) ?? []
          expect(new Set(by).size).toBe(by.length)
          const outcomes = by.map((name) => failures[names.indexOf(name as Name)])
          // Whoever was followed by another had done nothing, or could be done twice; and the last one's outcome counts.
          expect(
            outcomes.slice(0, -1).every((failure) => failure !== undefined && (idempotent || failure === 'no')),
          ).toBe(true)
          const last = outcomes.at(-1)
          expect(settled.get(id)).toEqual(last === undefined ? by.at(-1) : expect.objectContaining({ message: last }))
        }
        await registry.stop()
      }),
      { numRuns: 300 },
    )
  })
})
