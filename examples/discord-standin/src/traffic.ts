import type { CommandRequest, TrafficCommand, TrafficPlan } from './contract.js'
import { pick, type Random } from './random.js'
import type { StandinGuild } from './world.js'

/** What traffic is made of. */
export interface TrafficOptions {
  readonly guilds: readonly StandinGuild[]
  readonly random: Random
  readonly now: () => number
  readonly run: (request: CommandRequest) => void
}

/** Members at work: a steady stream of commands, the same ones in the same order for the same seed. */
export class Traffic {
  readonly #options: TrafficOptions
  #timer: NodeJS.Timeout | undefined

  constructor(options: TrafficOptions) {
    this.#options = options
  }

  /**
   * Starts, in place of what runs.
   *
   * @throws RangeError when a number of the plan makes no sense
   */
  start(plan: TrafficPlan): void {
    validate(plan)
    this.stop()
    if (plan.perSecond === 0) return
    const burst = plan.burst ?? 1
    const everyMs = (burst * 1_000) / plan.perSecond
    const startedAt = this.#options.now()
    let bursts = 0
    // Due times are counted from the start, so a late timer delays single commands and never the rate.
    const tick = (): void => {
      const elapsedMs = this.#options.now() - startedAt
      for (; bursts * everyMs <= elapsedMs; bursts++) {
        for (let i = 0; i < burst; i++) this.#runOne(plan.mix)
      }
      this.#timer = setTimeout(tick, Math.max(1, bursts * everyMs - elapsedMs))
    }
    tick()
  }

  /** No more commands. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  #runOne(mix: readonly TrafficCommand[]): void {
    const { guilds, random, run } = this.#options
    const guild = pick(random, guilds)
    const { name, options } = choose(random, mix)
    run({
      guildId: guild.id,
      userId: pick(random, guild.memberIds),
      name,
      ...(options === undefined ? {} : { options }),
    })
  }
}

/** One of the mix, each as often as its weight says. */
function choose(random: Random, mix: readonly TrafficCommand[]): TrafficCommand {
  let left = random() * mix.reduce((sum, { weight }) => sum + weight, 0)
  const chosen = mix.find(({ weight }) => (left -= weight) < 0)
  // Rounding may leave nothing chosen at the very end of the range.
  return chosen ?? pick(() => 0, mix)
}

function validate({ perSecond, mix, burst = 1 }: TrafficPlan): void {
  if (!(perSecond >= 0) || !Number.isFinite(perSecond)) {
    throw new RangeError(`traffic: perSecond must be 0 or more, not ${perSecond}`)
  }
  if (!Number.isInteger(burst) || burst < 1) throw new RangeError(`traffic: burst must be a whole number, not ${burst}`)
  if (perSecond === 0) return
  if (!mix.some(({ weight }) => weight > 0)) throw new RangeError('traffic: mix needs a command with a weight above 0')
  const wrong = mix.find(({ weight }) => !(weight >= 0) || !Number.isFinite(weight))
  if (wrong) throw new RangeError(`traffic: the weight of ${wrong.name} must be 0 or more, not ${wrong.weight}`)
}
