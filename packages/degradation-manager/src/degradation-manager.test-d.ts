// What must and what must not compile. Checked by tsc; never run.
import { DegradationManager, memoryState, withSignal, type FlagSource, type HealthSource } from './index.js'

declare const health: HealthSource<'database' | 'gateway'>
declare const anyHealth: HealthSource

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const expectType = <T extends true>(_proof?: T): void => {}

const modes = new DegradationManager({
  health,
  features: { remind: { priority: 'critical' }, translate: { priority: 'optional', in: { DEGRADED: 'fallback' } } },
  rules: [
    { component: 'database', is: 'degraded', mode: 'DEGRADED' },
    { pressure: 'load', enter: 0.9, leave: 0.7, mode: 'MAINTENANCE' },
  ],
  pressures: { load: () => 0.5 },
})

// Names are inferred, and a misspelt one does not compile.
modes.allows('remind')
// @ts-expect-error a misspelt feature
modes.allows('remnid')
// @ts-expect-error a misspelt feature
modes.explain('translat')
// @ts-expect-error a misspelt mode
void modes.setMode('MAINTENENCE', { why: 'a test' })
// @ts-expect-error a change by hand needs a reason
void modes.setMode('FULL', { forMs: 1 })
// @ts-expect-error a misspelt component
new DegradationManager({ health, features: {}, rules: [{ component: 'databse', is: 'down', mode: 'DEGRADED' }] })
// @ts-expect-error a pressure that nobody measures
new DegradationManager({ features: {}, rules: [{ pressure: 'disk', enter: 0.9, leave: 0.7, mode: 'DEGRADED' }] })
// Some are measured without being given, beside those that are.
new DegradationManager({
  features: {},
  pressures: { load: () => 0.5 },
  rules: [
    { pressure: 'cpu', enter: 0.9, leave: 0.7, mode: 'DEGRADED' },
    { pressure: 'load', enter: 0.9, leave: 0.7, mode: 'DEGRADED' },
  ],
})
// @ts-expect-error a rule without a flag source
new DegradationManager({ features: {}, rules: [{ flag: 'slim', mode: 'DEGRADED' }] })
declare const flags: FlagSource<'slim' | 'search'>
new DegradationManager({ flags, features: {}, rules: [{ flag: 'slim', is: 'off', mode: 'DEGRADED' }] })
// @ts-expect-error a misspelt flag
new DegradationManager({ flags, features: {}, rules: [{ flag: 'slmi', mode: 'DEGRADED' }] })
// @ts-expect-error a rule is about one thing
new DegradationManager({ flags, features: {}, rules: [{ flag: 'slim', component: 'slim', mode: 'DEGRADED' }] })
// @ts-expect-error a rule never asks for FULL
new DegradationManager({ flags, features: {}, rules: [{ flag: 'slim', mode: 'FULL' }] })
// @ts-expect-error a misspelt effect
new DegradationManager({ features: { remind: { in: { DEGRADED: 'of' } } } })
new DegradationManager({ features: { remind: { in: { DEGRADED: { maxConcurrent: 2 } } } } })

// Modes of one's own are inferred, and a misspelt one does not compile.
const own = new DegradationManager({
  modes: ['FULL', 'READ_ONLY', 'MAINTENANCE'],
  serves: { READ_ONLY: 'optional' },
  features: { write: { in: { READ_ONLY: 'off' } } },
  flags,
  rules: [{ flag: 'slim', mode: 'READ_ONLY' }],
})
expectType<Same<typeof own.mode, 'FULL' | 'READ_ONLY' | 'MAINTENANCE'>>()
void own.setMode('READ_ONLY', { why: 'a test', by: 'ada' })
// @ts-expect-error a mode that is not one of them
void own.setMode('DEGRADED', { why: 'a test' })
own.on('change', (change) => {
  if (change.what === 'mode') expectType<Same<typeof change.to, 'FULL' | 'READ_ONLY' | 'MAINTENANCE'>>()
})
const twoModes = ['FULL', 'MAINTENANCE'] as const
// @ts-expect-error a rule for a mode that is not one of them
new DegradationManager({ modes: twoModes, features: {}, flags, rules: [{ flag: 'slim', mode: 'DEGRADED' }] })
// @ts-expect-error an exception for a mode that is not one of them
new DegradationManager({ modes: ['FULL', 'SLOW', 'MAINTENANCE'], features: { remind: { in: { DEGRADED: 'off' } } } })
// @ts-expect-error what a mode serves that is not one of them
new DegradationManager({ modes: ['FULL', 'SLOW', 'MAINTENANCE'], features: {}, serves: { SLWO: 'high' } })
// @ts-expect-error they begin with FULL
new DegradationManager({ modes: ['SLOW', 'MAINTENANCE'], features: {} })
// @ts-expect-error they end with MAINTENANCE
new DegradationManager({ modes: ['FULL', 'SLOW'], features: {} })
const ownPassedOn: DegradationManager<'write', 'FULL' | 'READ_ONLY' | 'MAINTENANCE'> = own
void ownPassedOn

// A handle is found by a name that exists, and nobody sets its state.
const handle = modes.feature('remind')
const allowed: boolean = handle.allows()
void allowed
// @ts-expect-error a misspelt feature
modes.feature('remnid')
// @ts-expect-error the manager alone says what state it is in
handle.state = 'off'

// State is kept where there is a compare-and-set.
new DegradationManager({ features: {}, store: memoryState(), scope: 'process' })
// @ts-expect-error a Map has none
new DegradationManager({ features: {}, store: new Map<string, unknown>() })
// @ts-expect-error a rule about a component needs a health source
new DegradationManager({ features: {}, rules: [{ component: 'database', is: 'down', mode: 'DEGRADED' }] })
// @ts-expect-error unknown moves nothing
new DegradationManager({ health, features: {}, rules: [{ component: 'database', is: 'unknown', mode: 'DEGRADED' }] })
// @ts-expect-error a misspelt priority
new DegradationManager({ features: { remind: { priority: 'criticl' } } })
// @ts-expect-error a misspelt option
new DegradationManager({ features: { remind: { prio: 'critical' } } })
// A health source that does not know its names takes any.
new DegradationManager({ health: anyHealth, features: {}, rules: [{ component: 'x', is: 'down', mode: 'DEGRADED' }] })
// The parameters that only the constructor uses need not be repeated.
const passedOn: DegradationManager<'remind' | 'translate'> = modes
void passedOn

// A guarded function has the type of the function.
const translate = modes.guard('translate', async (text: string, lang?: string) => text.length + (lang ?? '').length, {
  fallback: (text) => text.length,
})
expectType<Same<ReturnType<typeof translate>, Promise<number>>>()
const sameType: (text: string, lang?: string) => Promise<number> = translate
void sameType
// @ts-expect-error the arguments are checked
void translate(1)
// @ts-expect-error the fallback must give what the function gives
modes.guard('translate', async (text: string) => text.length, { fallback: (text) => text })
// @ts-expect-error to answer with a value, pass a function
modes.guard('translate', async (text: string) => text, { fallback: 'sorry' })
const identity = modes.guard('translate', async <T>(value: T): Promise<T> => value)
const kept: Promise<'kept'> = identity('kept' as const)
void kept
const made: Promise<{ value: number; degraded: boolean; why: string | undefined }> = translate.outcome('tea')
void made

// What was synchronous becomes asynchronous.
const sync = modes.guard('translate', (text: string) => text.length)
const later: Promise<number> = sync('tea')
void later

// `this` is kept.
const bound = modes.guard('translate', async function (this: { lang: string }, text: string) {
  return this.lang + text
})
void bound.call({ lang: 'en' }, 'tea')
// @ts-expect-error called without its this
void bound('tea')
// @ts-expect-error called without its this
void bound.outcome('tea')

// A function marked with withSignal is seen without the signal.
const callApi = async (signal: AbortSignal, text: string, lang = 'en'): Promise<string> => text + lang + signal.aborted
const cancellable = modes.guard('translate', withSignal(callApi), { timeoutMs: 2_000, fallback: (text) => text })
expectType<Same<Parameters<typeof cancellable>, [text: string, lang?: string | undefined]>>()
const inline = modes.guard(
  'translate',
  withSignal((signal, text: string) => Promise.resolve(signal.aborted + text)),
)
const text: Promise<string> = inline('tea')
void text
// @ts-expect-error the guard passes the signal, not the caller
void cancellable(new AbortController().signal, 'tea')

// `run` gives what the function gives.
const ran: Promise<number> = modes.run('remind', async () => 5, { fallback: () => 4 })
void ran
const ranWithSignal: Promise<boolean> = modes.run(
  'remind',
  withSignal((signal) => signal.aborted),
)
void ranWithSignal
// @ts-expect-error another type
void modes.run('remind', async () => 5, { fallback: () => 'four' })

// The payload of `change` tells its kinds apart.
modes.on('change', (change) => {
  if (change.what === 'mode') {
    const to: 'FULL' | 'DEGRADED' | 'MAINTENANCE' = change.to
    void to
  }
})
