import { FakeClock } from '@evenkeel/testing'

/** A fake clock whose event loop can stand still: time passes, timers are late. */
export class BlockableClock extends FakeClock {
  #blockedMs = 0

  block(ms: number): void {
    this.#blockedMs += ms
  }

  override now(): number {
    return super.now() + this.#blockedMs
  }

  override monotonic(): number {
    return super.monotonic() + this.#blockedMs
  }
}
