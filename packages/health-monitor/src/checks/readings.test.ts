import { expect, it } from 'vitest'
import { Readings } from './readings.js'

it('gives the youngest reading that is a whole window old, and nothing before there is one', () => {
  const readings = new Readings<number>(60)
  expect(readings.take(0, 0)).toBeUndefined()
  expect(readings.take(59, 59)).toBeUndefined()
  expect(readings.coveredMs(59)).toBe(59)
  expect(readings.take(60, 60)?.value).toBe(0)
  expect(readings.take(120, 120)?.value).toBe(59)
  expect(readings.take(150, 150)?.value).toBe(59)
})

it('is as exact when two look in turn, often', () => {
  const readings = new Readings<number>(60)
  for (let ms = 0; ms <= 1_000; ms++) readings.take(ms, ms)
  const base = readings.take(1_001, 1_001)
  expect(base?.takenMs).toBeGreaterThanOrEqual(1_001 - 60 - 5)
  expect(base?.takenMs).toBeLessThanOrEqual(1_001 - 60)
})

it('works when looks are further apart than the window', () => {
  const readings = new Readings<number>(60)
  readings.take(0, 0)
  expect(readings.take(300, 300)?.value).toBe(0)
  expect(readings.take(600, 600)?.value).toBe(300)
})

it('begins anew after a pause of hours', () => {
  const readings = new Readings<number>(60)
  readings.take(0, 0)
  readings.take(60, 60)
  expect(readings.take(7_200, 7_200)).toBeUndefined()
  expect(readings.coveredMs(7_200)).toBe(0)
  expect(readings.take(7_260, 7_260)?.value).toBe(7_200)
})
