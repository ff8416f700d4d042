import { expect, it } from 'vitest'
import { weightsOf, wordsOf } from './share.js'

it.each([
  [0, 100, 0, 'v1 100 %'],
  [1, 99, 1, 'v1 99 %, v2 1 %'],
  [50, 50, 50, 'v1 50 %, v2 50 %'],
  [99, 1, 99, 'v1 1 %, v2 99 %'],
  [100, 0, 100, 'v2 100 %'],
  [0.1, 999_000, 1_000, 'v1 99.9 %, v2 0.1 %'],
  [1e-9, 999_999, 1, 'v1 100 %, v2 1e-9 %'],
  [99.999_999_9, 1, 999_999, 'v1 0 %, v2 99.9999999 %'],
])('%f %% is %i to %i', (percentage, blue, green, words) => {
  const share = { blue: 'v1', green: 'v2', percentage }
  expect(weightsOf(share)).toEqual({ blue, green })
  expect(wordsOf(share)).toBe(words)
})

it('a version beside itself has everything', () => {
  const share = { blue: 'v1', green: 'v1', percentage: 50 }
  expect([weightsOf(share), wordsOf(share)]).toEqual([{ blue: 100, green: 0 }, 'v1 100 %'])
})
