import { describe, expect, it } from 'vitest'
import { FakeClock } from './fake-clock.js'

describe('FakeClock', () => {
  it('fires timers in the order of their deadlines, each at its own time', async () => {
    const clock = new FakeClock(1_000)
    const fired: [string, number, number][] = []
    clock.after(20, () => fired.push(['b', clock.now(), clock.monotonic()]))
    clock.after(10, () => fired.push(['a', clock.now(), clock.monotonic()]))
    await clock.advance(25)
    expect(fired).toEqual([
      ['a', 1_010, 10],
      ['b', 1_020, 20],
    ])
    expect(clock.monotonic()).toBe(25)
  })

  it('fires a timer that arms itself again as often as real time would', async () => {
    const clock = new FakeClock()
    const at: number[] = []
    const tick = (): void => {
      at.push(clock.monotonic())
      clock.after(10, tick)
    }
    clock.after(10, tick)
    await clock.advance(100)
    expect(at).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
    expect(clock.pending).toBe(1)
  })

  it('lets promises settle between timers', async () => {
    const clock = new FakeClock()
    const story: string[] = []
    clock.after(1, () => void Promise.resolve().then(() => story.push('promise of the first')))
    clock.after(2, () => story.push('second'))
    await clock.advance(2)
    expect(story).toEqual(['promise of the first', 'second'])
  })

  it('cancels a timer, also after it has run', async () => {
    const clock = new FakeClock()
    let runs = 0
    const cancel = clock.after(5, () => runs++)
    clock.after(6, () => runs++)()
    await clock.advance(10)
    cancel()
    expect(runs).toBe(1)
    expect(clock.pending).toBe(0)
  })

  it('moves the wall clock alone on a jump', async () => {
    const clock = new FakeClock(0)
    let ran = false
    clock.after(1_000, () => (ran = true))
    clock.jump(-3_600_000)
    await clock.advance(999)
    expect(ran).toBe(false)
    expect(clock.now()).toBe(-3_600_000 + 999)
    await clock.advance(1)
    expect(ran).toBe(true)
  })

  it.each([NaN, -1, Infinity])('refuses to advance by %s', async (ms) => {
    await expect(new FakeClock().advance(ms)).rejects.toThrow(RangeError)
  })
})
