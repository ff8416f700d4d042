import { expect, it } from 'vitest'
import { OwnBaseline, type Retired } from './own-baseline.js'

const HALF_LIFE = 1e9

function start() {
  const retired: Retired[] = []
  const baseline = new OwnBaseline(120, HALF_LIFE, (step) => retired.push(step))
  const shown = () => ({
    recent: [...baseline.recent()],
    latest: [...baseline.latest()],
    baseline: [...baseline.baseline()].map(Math.round),
  })
  return { baseline, retired, shown }
}

it('splits what was counted into the window, its latest steps, and the past', () => {
  const { baseline, retired, shown } = start()
  for (let ms = 0; ms <= 240; ms += 5) baseline.take(ms, [ms, 2 * ms])
  expect(shown()).toEqual({ recent: [120, 240], latest: [20, 40], baseline: [120, 240] })
  expect(baseline.learnedMs).toBe(120)
  expect(retired).toHaveLength(12)
  expect([...(retired[0] as Retired).baseline]).toEqual([0, 0])
})

it('lets the past fade by its half-life', () => {
  const baseline = new OwnBaseline(10, 100, () => {})
  baseline.take(0, [0])
  baseline.take(1, [64])
  for (let ms = 2; ms <= 211; ms++) baseline.take(ms, [64])
  // The hits were counted until 1 ms, and the last step has left the window at 201 ms.
  expect(baseline.baseline()[0]).toBeCloseTo(16, 5)
})

it('takes counters that went back for a new beginning', () => {
  const { baseline, shown } = start()
  baseline.take(0, [100, 10])
  baseline.take(10, [110, 11])
  baseline.take(20, [3, 0])
  baseline.take(30, [5, 1])
  expect(shown().recent).toEqual([12, 2])
})

it('does not blame the present for what happened in a pause', () => {
  const { baseline, shown } = start()
  baseline.take(0, [0, 0])
  baseline.take(10, [10, 0])
  baseline.take(10_000, [10_000, 9_000])
  baseline.take(10_010, [10_010, 9_000])
  expect(shown()).toEqual({ recent: [10, 0], latest: [10, 0], baseline: [10, 0] })
})

it('begins anew when there are other counters', () => {
  const { baseline, shown } = start()
  baseline.take(0, [0])
  baseline.take(10, [10])
  baseline.take(20, [10, 5])
  baseline.take(30, [11, 6])
  expect(shown()).toEqual({ recent: [1, 1], latest: [1, 1], baseline: [0, 0] })
})

it('counts nothing twice when two look in turn', () => {
  const { baseline, shown } = start()
  for (let ms = 0; ms <= 240; ms += 5) {
    baseline.take(ms, [ms, 0])
    baseline.take(ms, [ms, 0])
  }
  expect(shown().recent).toEqual([120, 0])
})

it('forgets a window that is over, without making it usual', () => {
  const { baseline, shown } = start()
  for (let ms = 0; ms <= 120; ms += 5) baseline.take(ms, [ms, ms])
  baseline.forget(2)
  for (let ms = 125; ms <= 240; ms += 5) baseline.take(ms, [ms, 120])
  expect(shown()).toEqual({ recent: [120, 0], latest: [20, 0], baseline: [20, 20] })
})

it('keeps what is held back out of what is usual, until it is forgotten', () => {
  const { baseline, retired, shown } = start()
  for (let ms = 0; ms <= 240; ms += 5) baseline.take(ms, [ms, 0])
  baseline.hold()
  for (let ms = 245; ms <= 480; ms += 5) baseline.take(ms, [ms, ms - 240])
  expect(shown()).toMatchObject({ recent: [120, 120], baseline: [120, 0] })
  expect([baseline.learnedMs, retired.length]).toEqual([120, 12])
  baseline.forget(2)
  for (let ms = 485; ms <= 600; ms += 5) baseline.take(ms, [ms, 240])
  expect(shown()).toEqual({ recent: [120, 0], latest: [20, 0], baseline: [140, 20] })
})

it('takes what was held back for usual once it is accepted, and what was usual before no more', () => {
  const { baseline, shown } = start()
  for (let ms = 0; ms <= 240; ms += 5) baseline.take(ms, [ms, 0])
  baseline.hold()
  for (let ms = 245; ms <= 480; ms += 5) baseline.take(ms, [ms, ms - 240])
  baseline.accept()
  expect(shown().baseline).toEqual([240, 120])
  expect(baseline.learnedMs).toBe(240)
  baseline.accept()
  for (let ms = 485; ms <= 600; ms += 5) baseline.take(ms, [ms, 240])
  expect(shown().baseline).toEqual([360, 240])
})

it('forgets all of the window when nothing of it is to be kept', () => {
  const { baseline, shown } = start()
  for (let ms = 0; ms <= 60; ms += 5) baseline.take(ms, [ms, ms])
  baseline.forget(0)
  baseline.take(65, [65, 60])
  expect(shown()).toEqual({ recent: [5, 0], latest: [5, 0], baseline: [0, 0] })
})
