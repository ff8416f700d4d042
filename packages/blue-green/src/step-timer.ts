import type { Clock } from './ports.js'

/** A stride that ends later than by its own length says that the process stood still; less is a busy bot. */
const maxStrideMs = 10_000

/** How a step's time may end. */
interface StepEnd {
  /** It is over. */
  over(): void
  /** The process stood still meanwhile, so nobody knows how the bot fared. Nothing follows. */
  stoodStill(lateMs: number): void
}

/**
 * Measures the time of a step. It does so in strides: a stride that ends late says that the process was suspended or
 * blocked, which a single timer would show only when it ends at the wrong moment.
 *
 * @returns cancels it
 */
export function timeStep(clock: Clock, stepMs: number, end: StepEnd): () => void {
  const endsMs = clock.monotonic() + stepMs
  let cancel!: () => void
  const stride = (): void => {
    const strideMs = Math.min(maxStrideMs, endsMs - clock.monotonic())
    const dueMs = clock.monotonic() + strideMs
    cancel = clock.after(strideMs, () => {
      const lateMs = clock.monotonic() - dueMs
      if (lateMs > maxStrideMs) end.stoodStill(lateMs)
      else if (clock.monotonic() < endsMs) stride()
      else end.over()
    })
  }
  stride()
  return () => cancel()
}
