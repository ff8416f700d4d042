import { describe, expect, it } from 'vitest'
import { BeatWatch } from './beat-watch.js'

/** Looks each 100 ms until `nowMs`, at somebody who beats no more. */
function lookUntil(watch: BeatWatch, beat: number, fromMs: number, nowMs: number): number {
  let silentMs = NaN
  for (let ms = fromMs + 100; ms <= nowMs; ms += 100) silentMs = watch.look(beat, ms)
  return silentMs
}

describe('a silence', () => {
  it('begins with the last sign of life and ends with the next', () => {
    const watch = new BeatWatch(1, 0)
    expect(watch.look(2, 100)).toBe(0)
    expect(lookUntil(watch, 2, 100, 2_100)).toBe(2_000)
    expect(watch.look(3, 2_200)).toBe(0)
    expect(lookUntil(watch, 3, 2_200, 2_500)).toBe(300)
  })

  it('does not count the hours in which the watcher was suspended too', () => {
    const watch = new BeatWatch(1, 0)
    expect(lookUntil(watch, 1, 0, 500)).toBe(500)
    expect(watch.look(1, 7_200_000)).toBe(750)
  })

  it('counts in slow motion while the watcher gets hardly any processor itself', () => {
    const watch = new BeatWatch(1, 0)
    for (let ms = 2_000; ms <= 20_000; ms += 2_000) watch.look(1, ms)
    expect(watch.look(1, 20_000)).toBe(2_500)
  })

  it('is noticed between two looks that somebody asked for', () => {
    const watch = new BeatWatch(1, 0)
    for (let ms = 1; ms <= 150; ms++) watch.look(1, ms)
    expect(watch.look(1, 160)).toBe(160)
  })

  it('of one who beats as often as a number can count goes on being none', () => {
    const watch = new BeatWatch(2 ** 31 - 1, 0)
    expect(watch.look(-(2 ** 31), 100)).toBe(0)
  })
})
