import { expect, it } from 'vitest'
import { count, duration, percent, size } from './figures.js'

it.each([
  [percent(0.8), '80 %'],
  [percent(0.8047), '80.5 %'],
  [percent(0.0012), '0.1 %'],
  [percent(2.5), '250 %'],
  [size(0), '0 bytes'],
  [size(1_023), '1023 bytes'],
  [size(1_536), '1.5 KiB'],
  [size(412 * 2 ** 20), '412 MiB'],
  [size(5e12), '4.5 TiB'],
  [size(5e18), '4547474 TiB'],
  [duration(0), '0 ms'],
  [duration(250), '250 ms'],
  [duration(90_000), '90 s'],
  [duration(3_600_000), '60 min'],
  [duration(14_400_000), '4 h'],
  [duration(Infinity), 'infinitely many h'],
  [count(7), '7'],
  [count(1_234.4), '1,234'],
  [count(1_234_567), '1,234,567'],
])('shows %s', (shown, wanted) => {
  expect(shown).toBe(wanted)
})
