import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { AnswerCache } from './answer-cache.js'

describe('an AnswerCache', () => {
  it('drops the answer that was kept longest ago, not the one that was first asked for', () => {
    const cache = new AnswerCache<string, [string]>({ key: (city) => city, maxEntries: 2 })
    for (const city of ['Oslo', 'Rome', 'Oslo', 'Bonn']) cache.keep([city], `sunny in ${city}`)
    expect(cache.find(['Oslo']).value).toBe('sunny in Oslo')
    expect(() => cache.find(['Rome'])).toThrow('no answer was kept')
  })

  it('gives an answer until it is older than told', async () => {
    const clock = new FakeClock()
    const cache = new AnswerCache<string, []>({ key: () => 'all', maxAgeMs: 1_000, clock })
    cache.keep([], 'sunny')
    await clock.advance(1_000)
    expect(cache.find([])).toEqual({ value: 'sunny', ageMs: 1_000 })
    await clock.advance(1)
    expect(() => cache.find([])).toThrow('older than 1000 ms')
  })
})
