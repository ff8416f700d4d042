// What must and what must not compile. Checked by tsc; nothing here runs.
import { BlueGreen } from './blue-green.js'
import { memoryState } from './memory-state.js'
import type { Versions } from './options.js'
import type { Slot } from './slots/slot.js'
import type { HealthSource, StateStore } from './ports.js'

interface Interaction {
  readonly id: string
  readonly guildId: string | null
  readonly user: { readonly id: string }
}

declare const interaction: Interaction
declare const v1: (interaction: Interaction) => Promise<void>
declare const v2: (interaction: Interaction) => Promise<string>
declare const store: StateStore
const context = (i: Interaction): { eventId: string; guildId: string | null; userId: string } => ({
  eventId: i.id,
  guildId: i.guildId,
  userId: i.user.id,
})

const blueGreen = new BlueGreen({ versions: { v1, v2 }, initial: 'v1', context, store })

export const result: Promise<void | string | undefined> = blueGreen.handle(interaction)
// @ts-expect-error v1 resolves nothing, so the common result is not a string
export const wrongResult: Promise<string | undefined> = blueGreen.handle(interaction)
// @ts-expect-error this is no interaction
void blueGreen.handle({ id: '1' })

void blueGreen.deploy('v2')
// @ts-expect-error no version has this name
void blueGreen.deploy('v3')
// @ts-expect-error a reason is an object, as everywhere
void blueGreen.rollback('users complain')

// The event type is found from the handlers as well, and handlers written in place know it.
export const inferred = new BlueGreen({
  versions: { v1 },
  initial: 'v1',
  context: (i) => ({ eventId: i.id, guildId: i.guildId }),
  store: memoryState(),
})
export const inPlace = new BlueGreen({
  versions: { v1: (i) => i.user.id },
  initial: 'v1',
  context: (i: Interaction) => ({ eventId: i.id }),
  store,
})
export const text: Promise<string | undefined> = inPlace.handle(interaction)

// A field that holds one can be written down.
const versions = { v1, v2 }
export const field: BlueGreen<typeof versions> = new BlueGreen({ versions, initial: 'v1', context, store })

export const anyVersions: BlueGreen<Versions<Interaction>> = new BlueGreen<Versions<Interaction>>({
  versions: { v1 },
  initial: 'v1',
  context: (i) => ({ eventId: i.id }),
  store,
})

// A slot stands beside a function.
declare const slot: Slot<Interaction, number>
const mixed = new BlueGreen({ versions: { v1: (i) => i.id, v2: slot }, initial: 'v1', context, store })
export const mixedResult: Promise<string | number | undefined> = mixed.handle(interaction)
new BlueGreen({ versions: { v1: slot }, initial: 'v1', context: (i) => ({ eventId: i.user.id }), store })
declare const other: Slot<string, number>
// @ts-expect-error a slot of other events
new BlueGreen({ versions: { v1, v2: other }, initial: 'v1', context, store })

// A handler that looks at nothing says nothing of the events.
declare const contextOfAny: <E extends { readonly id: string }>(event: E) => { eventId: string }
const stub = new BlueGreen({ versions: { v1, v2: () => 'soon' }, initial: 'v1', context: contextOfAny, store })
void stub.handle(interaction)
// @ts-expect-error this is no interaction
void stub.handle({ id: '1' })
new BlueGreen({ versions: { v1: () => 1, v2 }, initial: 'v1', context: (i) => ({ eventId: i.user.id }), store })
new BlueGreen({ versions: { v1: () => 1, v2: slot }, initial: 'v1', context: (i) => ({ eventId: i.user.id }), store })
export const untyped: BlueGreen<{ v1: () => number }> = new BlueGreen({
  versions: { v1: () => 1 },
  initial: 'v1',
  context: () => ({ eventId: null }),
  store,
})
void untyped.handle('anything')
export const beside: BlueGreen<{ v1: Slot<Interaction, number>; v2: () => string }> = new BlueGreen({
  versions: { v1: slot, v2: () => 'x' },
  initial: 'v1',
  context: (i: Interaction) => ({ eventId: i.id }),
  store,
})
// Under `exactOptionalPropertyTypes` an option may be there and undefined.
void blueGreen.deploy('v2', { percentages: [10, 100], stepMs: [1_000, 2_000] })
// What no call shows is told of a guild, and of one of the versions.
blueGreen.report({ guildId: '1' })
blueGreen.report({ guildId: '1', kind: 'queryTimeout', version: 'v2' })
// @ts-expect-error there is no such kind
blueGreen.report({ guildId: '1', kind: 'queryTimeouts' })
// @ts-expect-error there is no such version
blueGreen.report({ guildId: '1', version: 'v9' })
void blueGreen.deploy('v2', { percentages: undefined, stepMs: undefined, first: undefined, backup: undefined })

// @ts-expect-error no version has this name
new BlueGreen({ versions: { v1, v2 }, initial: 'v3', context, store })
// @ts-expect-error an event passed whole is no context
new BlueGreen({ versions: { v1, v2 }, initial: 'v1', context: (i: Interaction) => i, store })
// @ts-expect-error a Map has no compare-and-set
new BlueGreen({ versions: { v1, v2 }, initial: 'v1', context, store: new Map<string, unknown>() })
// @ts-expect-error a version is a function
new BlueGreen({ versions: { v1, v2: 'v2.js' }, initial: 'v1', context, store })
// @ts-expect-error a share is no option
void blueGreen.deploy('v2', { percentage: 10 })

blueGreen.on('change', ({ message }) => message.trim())
// @ts-expect-error there is no such event
blueGreen.on('error', () => undefined)

interface Component {
  status: 'up' | 'degraded' | 'down' | 'unknown'
  reason: string
  since: number
}
declare class Monitor {
  readonly status: 'up' | 'degraded' | 'down' | 'unknown'
  readonly components: ReadonlyMap<string, Component>
  on(event: 'change' | 'stalled', listener: (change: { readonly message: string }) => void): this
  off(event: 'change' | 'stalled', listener?: (change: { readonly message: string }) => void): this
}
export const health: HealthSource = new Monitor()
