import { FakeClock } from '@evenkeel/testing'
import type { DriverParts } from '../rollout/driver-parts.js'
import type { PlanDefinition } from '../rollout/plan.js'
import { Rollout } from '../rollout/rollout.js'
import type { RolloutChange, RolloutTransition } from '../rollout/rollout-news.js'
import type { RolloutOptions } from '../rollout/rollout-options.js'
import type { PhaseJudgement, PhasePower, RolloutTraffic } from '../rollout/rollout-judge.js'
import type { RolloutVerdict } from '../rollout/rollout-ports.js'
import type { TallyDifference } from '../rollout/tally.js'
import { SampleCollector } from '../rollout/samples.js'
import { FakeFlags, SharedFlag } from './fake-flags.js'
import { FaultyRolloutStore, SharedRecords } from './faulty-rollout-store.js'

export const hour = 3_600_000

/** Three phases of an hour each. */
export const plan: PlanDefinition = {
  phases: [
    { name: 'testers', percentage: 0, targetGuilds: ['7'], durationMs: hour },
    { name: 'canary', percentage: 10, durationMs: hour },
    { name: 'all', percentage: 100, durationMs: hour },
  ],
}

/** How many calls were seen in this run, and in those before it. */
interface FakeState {
  readonly calls: number
  readonly earlier: number
}

/** A judge that says what it is told to, and remembers how many calls it has seen. */
class FakeJudge {
  verdict: RolloutVerdict = { action: 'CONTINUE', why: 'all is well' }
  end: PhaseJudgement = { action: 'advance', why: 'there is evidence enough' }

  powers: (traffic: RolloutTraffic) => readonly PhasePower[] | undefined = () => undefined

  start(): FakeState {
    return { calls: 0, earlier: 0 }
  }

  startAgain(state: unknown): FakeState {
    const { calls, earlier } = state as FakeState
    return { calls: 0, earlier: calls + earlier }
  }

  observe(state: unknown, { processes }: { readonly processes: readonly TallyDifference[] }): FakeState {
    const { calls, earlier } = state as FakeState
    return { calls: processes.reduce((sum, { green, blue }) => sum + green.calls + blue.calls, calls), earlier }
  }

  judge(_state: unknown): RolloutVerdict {
    return this.verdict
  }

  endPhase(_state: unknown): PhaseJudgement {
    return this.end
  }
}

/** What the processes of a bot share. */
export class World {
  readonly clock = new FakeClock()
  readonly flag = new SharedFlag()
  readonly records = new SharedRecords()
  readonly judge = new FakeJudge()
  /** Every transition that any process has told, in order. */
  readonly told: RolloutTransition[] = []

  /** Another process. */
  process(options: Partial<RolloutOptions> = {}): Process {
    return new Process(this, options)
  }
}

/** A process of a bot, with its own way to the store. */
export class Process {
  readonly flags: FakeFlags
  readonly store: FaultyRolloutStore
  readonly rollout: Rollout
  readonly news: RolloutChange[] = []
  readonly #world: World

  constructor(world: World, options: Partial<RolloutOptions>) {
    this.#world = world
    this.flags = new FakeFlags(world.flag)
    this.store = new FaultyRolloutStore(world.records)
    const { clock, judge } = world
    const flags = this.flags
    const parts: DriverParts = {
      judge,
      meter: (instance) => new SampleCollector({ flags, flag: 'newSearch', clock, random: () => 0.5, instance }),
    }
    const own = { flags, flag: 'newSearch', plan, store: this.store, clock, settleMs: 0 }
    this.rollout = new Rollout({ ...own, ...options }, parts)
    this.rollout.on('change', (change) => this.news.push(change))
    this.rollout.on('transition', (transition) => world.told.push(transition))
  }

  /** Ends without a word, as by `kill -9`. */
  kill(): void {
    this.store.isDead = true
    const { processes } = this.#world.flag
    processes.splice(processes.indexOf(this.flags), 1)
    // Nothing of it reaches the flag any more.
    this.flags.setShare = () => new Promise(() => undefined)
    this.rollout.removeAllListeners()
  }
}

/** The path that was told: `PENDING>RUNNING 0 %`. */
export function pathOf(told: readonly RolloutTransition[]): string[] {
  return told.map(({ from, to, percentage }) => `${from}>${to} ${Number(percentage.toFixed(2))} %`)
}
