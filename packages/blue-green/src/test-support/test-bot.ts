import { FakeClock } from '@evenkeel/testing'
import { BlueGreen } from '../blue-green.js'
import type { BlueGreenChange } from '../changes.js'
import type { BlueGreenOptions, Versions } from '../options.js'
import { FaultyStore } from './faulty-store.js'

/** An event as the tests send it. `run` is what the handler does with it. */
export interface Ping {
  readonly id?: string
  readonly guildId?: string | null
  readonly userId?: string | null
  readonly run?: (version: string) => unknown
}

/** A handler that answers with its own name. */
export const answer =
  (version: string) =>
  (ping: Ping): unknown =>
    ping.run === undefined ? version : ping.run(version)

type TestOptions = Partial<Omit<BlueGreenOptions<Versions<Ping>>, 'store'>>

/** A process that runs a bot: its clock, its store, and what it was told. */
export class TestBot {
  readonly clock = new FakeClock()
  readonly store: FaultyStore
  readonly blueGreen: BlueGreen<Versions<Ping>>
  readonly changes: BlueGreenChange[] = []

  constructor(store: FaultyStore = new FaultyStore(), options: TestOptions = {}) {
    this.store = store
    this.blueGreen = new BlueGreen<Versions<Ping>>({
      versions: { v1: answer('v1'), v2: answer('v2'), v3: answer('v3') },
      initial: 'v1',
      context: ({ id, guildId, userId }) => ({ eventId: id, guildId, userId }),
      clock: this.clock,
      store,
      ...options,
    })
    this.blueGreen.on('change', (change) => this.changes.push(change))
  }

  /** How many timers are set, beside that of the next look at the record, which there always is. */
  get timers(): number {
    return this.clock.pending - (this.blueGreen.status.controller === 'STOPPED' ? 0 : 1)
  }

  /** Everything this process does from now on reaches nobody. */
  crash(): void {
    this.store.isDead = true
  }

  /** Who serves a guild. */
  serves(guildId: string | null, userId?: string): Promise<unknown> {
    return this.blueGreen.handle({ guildId, ...(userId !== undefined && { userId }) })
  }

  /** The guilds among `guild-0` to `guild-999` that a version serves, all asked in one tick. */
  async guildsOn(version: string): Promise<Set<string>> {
    const guilds = Array.from({ length: 1_000 }, (_, i) => `guild-${i}`)
    const servedBy = await Promise.all(guilds.map((guild) => this.serves(guild)))
    return new Set(guilds.filter((_, i) => servedBy[i] === version))
  }

  /** Lets a guild fail as often as makes it a failing one. */
  async fails(guildId: string, times = 3): Promise<void> {
    const run = (): never => {
      throw new Error('broken')
    }
    for (let i = 0; i < times; i++) await this.blueGreen.handle({ guildId, run }).catch(() => undefined)
  }

  /** The phases in the order of their announcement. */
  get phases(): unknown[] {
    return this.changes.filter(({ what }) => what === 'phase').map(({ to }) => to)
  }

  get percentages(): unknown[] {
    return this.changes.filter(({ what }) => what === 'percentage').map(({ to }) => to)
  }
}

/** Steps of one second, so that a test can count them. */
export const plan = { percentages: [1, 10, 50, 100], stepMs: 1_000, maxHoldMs: 60_000 } as const
