import { randomUUID } from 'node:crypto'
import type { BucketBy, FlagContext } from '../context.js'
import { RolloutJudge, type RolloutInterval, type RolloutJudgeState } from './rollout-judge.js'
import type { RolloutSettings } from './rollout-settings.js'
import type { EvidenceJudge } from './rollout-ports.js'
import { SampleCollector } from './samples.js'

/** Counts what this process does. */
export interface Meter {
  start(): void
  stop(): void
  /** What was counted until now. */
  take(): unknown
  /** A user complained. */
  report(context: FlagContext): unknown
}

/** What a driver looks through and judges by. */
export interface DriverParts {
  readonly judge: EvidenceJudge<unknown, RolloutInterval>
  /** @param instance - this process, as long as it is started */
  meter(instance: string): Meter
}

/** The parts of every rollout, but for tests that bring their own. */
export function partsOf(settings: RolloutSettings, by: BucketBy): DriverParts {
  const { flags, flag, plan, clock, random } = settings
  const judge = new RolloutJudge({ plan, by, random })
  return {
    judge: {
      start: () => judge.start(),
      startAgain: (state) => judge.startAgain(state as RolloutJudgeState),
      observe: (state, interval) => judge.observe(state as RolloutJudgeState, interval),
      judge: (state, acknowledged) => judge.judge(state as RolloutJudgeState, acknowledged),
      powers: (traffic) => judge.powers(traffic),
      endPhase: (state, ...of) => judge.endPhase(state as RolloutJudgeState, ...of),
    },
    meter: (instance) => new SampleCollector({ flags, flag, by, clock, random, instance }),
  }
}

/** Another one for each start of each process, for ever. */
export function newInstance(): string {
  return randomUUID()
}
