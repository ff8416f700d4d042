import type { Jury } from './judgement/jury.js'
import type { ProbeResult } from './plan.js'
import { isAccepting, isStepping, stepMsOf, testsOf, type DeploymentState } from './transitions.js'

/** What has to be known before a step may end: that its time is over, its synthetic calls have passed, and what the plan asks for beside. */
export class StepGate {
  readonly #jury: Jury | undefined
  readonly #events: (version: string) => number
  #isTimeOver = false
  #tested: readonly ProbeResult[] | undefined
  /** How many events green had had when the step began. */
  #eventsBefore = 0

  /** @param events - how many events a version has had since it was made; synthetic calls are none */
  constructor(jury: Jury | undefined, events: (version: string) => number) {
    this.#jury = jury
    this.#events = events
  }

  /** Another step has begun, or the same one in another phase. A hold is part of its step, as far as events are counted. */
  entered(running: DeploymentState | undefined): void {
    this.#isTimeOver = false
    this.#tested = undefined
    if (running !== undefined && running.phase !== 'HOLD') this.#eventsBefore = this.#events(running.to)
  }

  timeIsOver(): void {
    this.#isTimeOver = true
  }

  tested(results: readonly ProbeResult[]): void {
    this.#tested = results
  }

  /** Of the synthetic calls of this step. */
  get results(): readonly ProbeResult[] {
    return this.#tested ?? []
  }

  /** Whether the step has had its time, and its synthetic calls have passed: only knowledge can be lacking now. */
  isThrough(running: DeploymentState): boolean {
    const isTimeOver = this.#isTimeOver || stepMsOf(running) === 0
    return isStepping(running) && isTimeOver && (testsOf(running).length === 0 || this.#tested !== undefined)
  }

  /** What the plan asks to know beside; `undefined` when the step may end. */
  lacking(running: DeploymentState): string | undefined {
    const { advance, minEvents, percentage, to } = running
    // Nobody is there yet, or all has been looked at.
    if (percentage === 0 || isAccepting(running)) return undefined
    // Nobody is left to compare with, but what blue used when it was as young.
    if (percentage === 100) return this.#jury?.memoryProblem()
    if (advance === 'time') {
      const events = this.#events(to) - this.#eventsBefore
      if (events < minEvents) return `"${to}" has had ${events} events in this step, fewer than ${minEvents}`
      return this.#jury?.memoryProblem()
    }
    const finding = this.#jury?.find()
    return finding === undefined || finding.mayAdvance ? undefined : finding.why
  }

  /** Why green is to be taken back, if the evidence says so and no person has gone on in spite of it. */
  harm(running: DeploymentState): string | undefined {
    const isTried = isStepping(running) || (running.phase === 'HOLD' && running.step >= 0)
    if (!isTried || running.isOverruled || this.#jury === undefined) return undefined
    const finding = this.#jury.find()
    return finding.verdict === 'HARMFUL' ? `the new version is worse: ${finding.why}` : undefined
  }
}
