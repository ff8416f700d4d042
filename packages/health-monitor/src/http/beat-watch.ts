/**
 * How far apart two looks may be, in ms, and still count in full. In a longer gap the watcher itself did not run: its
 * process was suspended, or had no processor. The one it watches may have fared no better.
 */
const MAX_GAP_MS = 250

/** Tells how long somebody has given no sign of life, on the watcher's own time: only while it ran itself. */
export class BeatWatch {
  #beat: number
  #lookedMs: number
  #silentMs = 0

  /**
   * @param beat - the sign of life now
   * @param nowMs - monotonic
   */
  constructor(beat: number, nowMs: number) {
    this.#beat = beat
    this.#lookedMs = nowMs
  }

  /**
   * @param beat - differs from the one before, if there was a sign of life
   * @param nowMs - monotonic
   * @returns for how long there has been none, in ms
   */
  look(beat: number, nowMs: number): number {
    const gapMs = nowMs - this.#lookedMs
    this.#lookedMs = nowMs
    if (beat === this.#beat) {
      this.#silentMs += Math.min(gapMs, MAX_GAP_MS)
    } else {
      this.#beat = beat
      this.#silentMs = 0
    }
    return this.#silentMs
  }
}
