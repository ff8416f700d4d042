/**
 * Says whether work should come: not before the bot has started, and no more once it is to end.
 *
 * @remarks
 * It is off until {@link Readiness.on}. Its `off()` is what `runUntilSignal` calls first, of every part that has a
 * `readiness`, when a signal comes.
 *
 * @example
 * ```ts
 * import { Readiness } from '@evenkeel/health-monitor/http'
 *
 * const readiness = new Readiness()
 * console.log(readiness.isOn, readiness.hasStarted) // => false false
 * readiness.on()
 * readiness.off()
 * console.log(readiness.isOn, readiness.hasStarted) // => false true
 * ```
 */
export class Readiness {
  #isOn = false
  #hasStarted = false

  /** Whether work should come. */
  get isOn(): boolean {
    return this.#isOn
  }

  /** Whether it has ever been on: what a startup probe asks. */
  get hasStarted(): boolean {
    return this.#hasStarted
  }

  /** Everything has started: let work come. */
  on(): void {
    this.#isOn = true
    this.#hasStarted = true
  }

  /** No more work; what has begun goes on. */
  off(): void {
    this.#isOn = false
  }
}
