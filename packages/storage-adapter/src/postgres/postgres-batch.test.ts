import { describe, expect, it, vi } from 'vitest'
import type { Mutation } from '../backend.js'
import { planBatch } from './postgres-batch.js'

const work = vi.hoisted(() => ({ comparisons: 0 }))

vi.mock(import('../keys.js'), async (original) => {
  const keys = await original()
  const compareKeys: typeof keys.compareKeys = (a, b) => {
    work.comparisons++
    return keys.compareKeys(a, b)
  }
  return { ...keys, compareKeys }
})

function put(collection: string, key: string): Mutation {
  return { type: 'put', collection, key, json: '1', version: 'v', expiresAt: undefined, expected: undefined }
}

/** As many records that are only looked at as are written, in turn. */
function mixed(size: number): Mutation[] {
  return Array.from({ length: size }, (_, i): Mutation => {
    const key = String(i).padStart(8, '0')
    return i % 2 === 0 ? { type: 'check', collection: 'c', key, expected: 'v' } : put('c', key)
  })
}

/** As many collections that are cleared as records that are written to others. */
function clearing(size: number): Mutation[] {
  return Array.from({ length: size }, (_, i): Mutation => {
    return i % 2 === 0 ? { type: 'clear', collection: `c${i}`, version: 'v' } : put('kept', `${i}`)
  })
}

describe('planBatch', () => {
  it('says how many records are locked before each that is only looked at', () => {
    const { shared } = planBatch([...mixed(6), put('b', 'x')])
    expect(shared.map(({ key, after }) => [Number(key), after])).toEqual([
      [0, 1],
      [2, 2],
      [4, 3],
    ])
  })

  it('takes away what is written before a clear, and nothing of another collection', () => {
    const clear: Mutation = { type: 'clear', collection: 'a', version: 'v' }
    const { touched } = planBatch([put('a', 'x'), put('b', 'y'), clear, put('a', 'z')])
    expect(touched.map(({ collection, key }) => collection + key)).toEqual(['az', 'by'])
  })

  it('compares little more than twice as often for twice the operations', () => {
    const count = (size: number): number => {
      work.comparisons = 0
      planBatch(mixed(size))
      return work.comparisons
    }
    expect(count(40_000) / count(20_000)).toBeLessThan(2.5)
  })

  it('takes no square of the time for many collections that are cleared', () => {
    const measure = (size: number): number => {
      const mutations = clearing(size)
      const times = Array.from({ length: 20 }, () => {
        const startedMs = performance.now()
        planBatch(mutations)
        return performance.now() - startedMs
      })
      return Math.min(...times)
    }
    measure(1_000)
    // Eight times the operations, and few enough to make little garbage: a square would be 64 times the time.
    expect(measure(8_000) / measure(1_000)).toBeLessThan(32)
  })
})
