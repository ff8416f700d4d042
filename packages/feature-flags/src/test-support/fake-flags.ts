import { EventEmitter } from 'eventemitter3'
import { bucketOf, placeOf } from '../bucketing.js'
import type { FlagContext } from '../context.js'
import { murmur3 } from '../murmur3.js'
import type { FlagShare, RanCall, RolloutFlags } from '../rollout/rollout-ports.js'

/** What all processes of a bot share of one flag. */
export class SharedFlag {
  share: FlagShare | undefined
  percentage = 0
  state = 'active'
  /** Every share that came into force, in order. */
  readonly shares: FlagShare[] = []
  /** Shares that came too late. */
  refused = 0
  isDown = false
  readonly processes: FakeFlags[] = []
}

/** A flag as a rollout sees it: what `FeatureFlags` does, with one flag and a store that can be out of reach. */
export class FakeFlags
  extends EventEmitter<{ ran: [RanCall]; change: [{ readonly what: string }] }>
  implements RolloutFlags
{
  world: SharedFlag
  readonly #name: string
  /** A share that is in force only here, since the store was out of reach. */
  local: FlagShare | undefined
  /** What the environment says, as a sentence. */
  pin: string | undefined
  /** Held off only here, as by a breaker without a store. */
  localState: string | undefined

  constructor(world: SharedFlag = new SharedFlag(), name = 'newSearch') {
    super()
    this.world = world
    this.#name = name
    world.processes.push(this)
  }

  has(name: string): boolean {
    return name === this.#name
  }

  status(_name: string): { state: string; percentage: number } {
    return { state: this.localState ?? this.world.state, percentage: this.local?.percentage ?? this.world.percentage }
  }

  share(_name: string): FlagShare | undefined {
    return this.local ?? this.world.share
  }

  async setShare(_name: string, share: FlagShare, _reason: { why: string }): Promise<boolean> {
    if (this.world.isDown) {
      if ((this.share('')?.sequence ?? 0) < share.sequence) this.local = share
      throw new Error('connection refused')
    }
    const inForce = this.world.share?.sequence ?? 0
    if (inForce >= share.sequence) {
      this.world.refused += 1
      return false
    }
    this.world.share = share
    this.world.percentage = share.percentage
    this.world.shares.push(share)
    for (const process of this.world.processes) {
      if ((process.local?.sequence ?? 0) <= share.sequence) process.local = undefined
      process.emit('change', { what: this.#name })
    }
    return true
  }

  isEnabled(_name: string, context: FlagContext = {}): boolean {
    if (this.world.state !== 'active') return false
    const guildId = context.guildId
    if (guildId === undefined || guildId === null) return this.status('').percentage === 100
    if (this.share('')?.targetGuilds.includes(String(guildId)) === true) return true
    return this.explain('', context).place < this.status('').percentage
  }

  explain(_name: string, { guildId }: FlagContext = {}): { place: number; reason: string; why: string } {
    const [reason, why] = this.pin === undefined ? ['percentage', ''] : ['environment', this.pin]
    return {
      reason,
      why,
      place: placeOf(bucketOf(murmur3(String(guildId)), murmur3(this.#name))),
    }
  }

  /** What an operator does by hand. */
  setPercentage(percentage: number): void {
    this.world.percentage = percentage
    this.#told()
  }

  /** The flag is switched off, falls back, or is let go. */
  setState(state: 'active' | 'disabled' | 'fallen-back'): void {
    this.world.state = state
    this.#told()
  }

  /** Calls of `flags.run` that have ended. */
  ran(path: 'on' | 'off', isFailure = false, guildId = '1'): void {
    this.emit('ran', { flag: this.#name, path, isFailure, tookMs: 10, guildId, userId: undefined })
  }

  #told(): void {
    for (const process of this.world.processes) process.emit('change', { what: this.#name })
  }
}
