import { MemoryStorage } from '@evenkeel/storage-adapter'
import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { FeatureFlags, type FlagSource, type FlagStore } from '../index.js'

/** The flags of a bot whose processes share a store. */
export const declared = {
  search: { percentage: 50 },
  suggestions: { default: true, requires: ['search'] },
  theme: { default: 'none', variants: ['none', 'plain', 'cards'], weights: { plain: 50, cards: 50 } },
  digest: { default: true },
} as const

/** The flags of one process. */
export type BotFlags = FeatureFlags<typeof declared>

/** One process: its flags, and its way to the store, which can be broken. */
export interface BotProcess {
  readonly flags: BotFlags
  readonly faulty: FaultyStorage<MemoryStorage>
}

const guilds = Array.from({ length: 40 }, (_, i) => String(81384788765712384n + BigInt(i) * 4_194_304_000n))

/** Processes of a bot with one store and one clock, which moves when told to. */
export class BotProcesses {
  readonly clock: FakeClock = new FakeClock()
  readonly storage: MemoryStorage = new MemoryStorage({ clock: this.clock })
  readonly #running: BotProcess[] = []

  /** Starts another process. */
  async start(
    sources: readonly FlagSource[] = [],
    around = (store: FlagStore): FlagStore => store,
  ): Promise<BotProcess> {
    const { clock } = this
    const faulty = new FaultyStorage(this.storage, { clock })
    const store = around(faulty.storage.collection('evenkeel'))
    const flags = new FeatureFlags({ flags: declared, environment: {}, clock, store, sources })
    const started = { flags, faulty }
    this.#running.push(started)
    await flags.start()
    await this.settle()
    return started
  }

  /** What is under way settles: the storage is in memory, so a few turns are enough. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await this.clock.advance(0)
  }

  /** Every store works again, and each process has had the time to notice. */
  async recover(): Promise<void> {
    for (const { faulty } of this.#running) faulty.up()
    await this.clock.advance(20_000)
    await this.settle()
  }

  /** The epoch in the store; 0 while there is none. */
  async storedEpoch(): Promise<number> {
    const state = await this.storage.collection<{ epoch: number }>('evenkeel').get('flags/state')
    return state?.epoch ?? 0
  }

  async stop(): Promise<void> {
    const running = this.#running.splice(0)
    for (const { faulty } of running) faulty.up()
    await Promise.all(running.map(({ flags }) => flags.stop()))
  }
}

/** All that can be seen of the flags of a process, but for when and how often. */
export function viewOf({ flags }: BotProcess): object {
  return {
    epoch: flags.epoch,
    ...Object.fromEntries(
      flags.names.map((name) => {
        const { state, percentage, share, guildOverrides, userOverrides } = flags.status(name)
        const answers = guilds.map((guildId) => JSON.stringify(flags.explain(name, { guildId, userId: guildId }).value))
        return [name, { state, percentage, share, guildOverrides, userOverrides, answers: answers.join() }]
      }),
    ),
  }
}

/** Guilds whose answers {@link viewOf} shows. */
export const someGuilds: readonly string[] = guilds
