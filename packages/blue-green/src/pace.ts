import type { Clock } from './ports.js'
import { timeStep } from './step-timer.js'
import { isStepping, stepMsOf, type DeploymentState } from './transitions.js'

/** How often a step that waits for evidence is looked at, in ms. */
const pollMs = 30_000

/** What the time of a state leads to. */
export interface PaceHooks {
  /** The step has had its time. */
  over(stepMs: number): void
  /** The process stood still meanwhile. */
  stoodStill(lateMs: number): void
  /** A step has been held for as long as the plan allows. */
  heldTooLong(): void
  /** The next batch of a rollback may follow. */
  pauseOver(): void
  /** A step is held for more evidence, of which there may be some by now. */
  stillWaiting(): void
}

/** The timers of the state in force. */
export class Pace {
  readonly #clock: Clock
  readonly #hooks: PaceHooks
  #steppingSinceMs = 0
  /** Since when the current step has not got on, through however many holds. */
  #heldSinceMs: number | undefined
  #isHumanCalled = false
  #cancelStep: (() => void) | undefined
  #cancelCall: (() => void) | undefined
  #cancelRecovery: (() => void) | undefined

  constructor(clock: Clock, hooks: PaceHooks) {
    this.#clock = clock
    this.#hooks = hooks
  }

  /** How long the step in force has lasted, in ms. */
  get steppingMs(): number {
    return this.#clock.monotonic() - this.#steppingSinceMs
  }

  /** Another state is in force. Timers run only where this process drives. */
  enter(before: DeploymentState | undefined, running: DeploymentState | undefined, isDriving: boolean): void {
    this.cancel()
    if (running?.id !== before?.id || running?.step !== before?.step) {
      this.#heldSinceMs = undefined
      this.#isHumanCalled = false
    }
    if (running === undefined || !isDriving) return
    if (isStepping(running)) {
      const stepMs = stepMsOf(running)
      this.#steppingSinceMs = this.#clock.monotonic()
      // What has no time of its own ends with its calls.
      if (stepMs === 0) return
      this.#cancelStep = timeStep(this.#clock, stepMs, {
        over: () => this.#hooks.over(stepMs),
        stoodStill: (lateMs) => this.#hooks.stoodStill(lateMs),
      })
    } else if (running.descent !== null) {
      this.#pause(running.descent.pauseMs)
    } else if (running.phase === 'HOLD') {
      if (running.awaitsEvidence) this.#poll()
      if (this.#isHumanCalled) return
      this.#heldSinceMs ??= this.#clock.monotonic()
      const leftMs = Math.max(0, this.#heldSinceMs + running.maxHoldMs - this.#clock.monotonic())
      this.#cancelCall = this.#clock.after(leftMs, () => {
        this.#isHumanCalled = true
        this.#hooks.heldTooLong()
      })
    }
  }

  #pause(pauseMs: number): void {
    this.#cancelStep = this.#clock.after(pauseMs, () => {
      this.#pause(pauseMs)
      this.#hooks.pauseOver()
    })
  }

  #poll(): void {
    this.#cancelStep = this.#clock.after(pollMs, () => {
      this.#poll()
      this.#hooks.stillWaiting()
    })
  }

  /** Calls back when nothing has spoken against it for so long. */
  recover(recoverMs: number, run: () => void): void {
    this.#cancelRecovery ??= this.#clock.after(recoverMs, () => {
      this.#cancelRecovery = undefined
      run()
    })
  }

  cancelRecovery(): void {
    this.#cancelRecovery?.()
    this.#cancelRecovery = undefined
  }

  cancel(): void {
    this.#cancelStep?.()
    this.#cancelCall?.()
    this.#cancelStep = this.#cancelCall = undefined
    this.cancelRecovery()
  }
}
