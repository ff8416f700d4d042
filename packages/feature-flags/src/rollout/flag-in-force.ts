import { within } from '../deadline.js'
import type { FlagProblem } from './decision.js'
import type { PlacedGuild } from './rollback.js'
import { RolloutStoreError } from './rollout-errors.js'
import type { RolloutSettings } from './rollout-settings.js'
import type { FlagShare } from './rollout-ports.js'
import type { RolloutRecord } from './rollout-record.js'
import type { Run } from './transitions.js'
import { checkFlagIsOff, messageOf } from './validation.js'

/** The flag of a rollout, and the share that it should have. */
export class FlagInForce {
  readonly #settings: RolloutSettings
  /** The sequence of the share that is known to be in force everywhere. */
  #applied = 0

  constructor(settings: RolloutSettings) {
    this.#settings = settings
  }

  /** Whether the share of a run is known to be in force everywhere, and nobody has put another one in its place since. */
  has({ share }: Run): boolean {
    const { flags, flag } = this.#settings
    return this.#applied === share.sequence && (flags.share(flag)?.sequence ?? 0) <= share.sequence
  }

  /**
   * Puts the share of a run in force. To do so twice does no harm.
   *
   * @returns another share that is in force in its place, with the same sequence or a higher one
   * @throws RolloutStoreError when it may not be in force everywhere
   * @throws what `setShare` throws of a flag that cannot have a share
   */
  async put({ run, history }: RolloutRecord): Promise<FlagShare | undefined> {
    const { flags, flag } = this.#settings
    const { share } = run
    const last = history.findLast(({ sequence }) => sequence <= share.sequence)
    const isSet = await this.#set(share, { why: last?.why ?? 'the rollout goes on', by: last?.by })
    const inForce = isSet ? undefined : flags.share(flag)
    if (inForce !== undefined && inForce.sequence >= share.sequence && !isSame(inForce, share)) return inForce
    this.#applied = share.sequence
    return undefined
  }

  /** Whether the last share gave nobody the flag, as far as this process knows. */
  get isOff(): boolean {
    const share = this.#settings.flags.share(this.#settings.flag)
    return share !== undefined && isOff(share)
  }

  /** Switches the flag off here, and wherever that can be reached. */
  async off(sequence: number, reason: { why: string; by?: string | undefined }): Promise<void> {
    await this.#set({ percentage: 0, targetGuilds: [], sequence }, reason).catch(() => undefined)
  }

  /** What keeps the flag from being as the run wants it. */
  problem({ share }: Run): FlagProblem | undefined {
    const { flags, flag } = this.#settings
    const { state, percentage } = flags.status(flag)
    if (state === 'fallen-back') return { kind: 'FALLEN_BACK', why: 'the flag has fallen back to the old path' }
    if (state !== 'active') return { kind: 'OFF', why: `the flag is ${state}` }
    if (flags.share(flag)?.sequence !== share.sequence)
      return { kind: 'OFF', why: 'its share is not in force here yet' }
    const { reason, why = reason } = flags.explain(flag)
    if (reason === 'environment') {
      return { kind: 'BY_HAND', why: `the environment decides in place of the rollout (${why})` }
    }
    if (percentage === share.percentage) return undefined
    const found = percentage === undefined ? 'no percentage' : `${percentage} %`
    return { kind: 'BY_HAND', why: `the flag was set to ${found} in place of the ${share.percentage} % of the rollout` }
  }

  /** The guilds of the bot with their places; `undefined` when nobody says. */
  placedGuilds(): PlacedGuild[] | undefined {
    const { flags, flag } = this.#settings
    return this.#guilds()?.map((guildId) => ({ id: guildId, place: flags.explain(flag, { guildId }).place }))
  }

  /** Whom the flag is on for although it should be off. */
  whoHasIt(): string | undefined {
    const { flags, flag, plan } = this.#settings
    const targets = plan.phases.flatMap(({ targetGuilds }) => targetGuilds)
    return checkFlagIsOff(flags, flag, new Set([...targets, ...(this.#guilds() ?? [])]))
  }

  /** `undefined` also when the one who should say cannot: a rollback must not fail of that. */
  #guilds(): string[] | undefined {
    try {
      return this.#settings.guilds && Array.from(this.#settings.guilds(), (id) => String(id))
    } catch {
      return undefined
    }
  }

  async #set(share: FlagShare, { why, by }: { why: string; by?: string | undefined }): Promise<boolean> {
    const { flags, flag, clock, timeoutMs } = this.#settings
    const reason = by === undefined ? { why } : { why, by }
    // What is thrown at once is a mistake, and no store that is out of reach.
    const isSet = flags.setShare(flag, share, reason)
    try {
      return await within(clock, timeoutMs, 'the store', () => isSet)
    } catch (error) {
      if ((error as { retryable?: unknown } | null | undefined)?.retryable === false) throw error
      throw new RolloutStoreError(`Setting the share of ${flag} failed: ${messageOf(error)}`, 'unknown', error)
    }
  }
}

/** Whether a share gives nobody the flag. */
export function isOff({ percentage, targetGuilds }: FlagShare): boolean {
  return percentage === 0 && targetGuilds.length === 0
}

function isSame(a: FlagShare, b: FlagShare): boolean {
  return a.sequence === b.sequence && a.percentage === b.percentage && a.targetGuilds.join() === b.targetGuilds.join()
}
