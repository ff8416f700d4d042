import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { Desk } from './desk.js'
import { Ledger } from './ledger.js'
import { resolveOptions } from './options.js'
import type { AlertState } from './transitions.js'

/** Counts how many alerts somebody goes through or looks up. */
class CountingStates extends Map<string, AlertState> {
  looks = 0

  override get(key: string): AlertState | undefined {
    this.looks++
    return super.get(key)
  }

  override *[Symbol.iterator](): MapIterator<[string, AlertState]> {
    for (const entry of super.entries()) {
      this.looks++
      yield entry
    }
  }

  override *keys(): MapIterator<string> {
    for (const key of super.keys()) {
      this.looks++
      yield key
    }
  }
}

describe('the desk', () => {
  it('looks only at alerts that are due, however many there are', async () => {
    const clock = new FakeClock()
    const states = new CountingStates()
    const ledger = Object.assign(new Ledger(), { states })
    let id = 0
    const told: string[] = []
    const desk = new Desk({
      options: resolveOptions({ channels: {}, path: false }, { send: () => Promise.resolve() }),
      ledger,
      burials: { evict: () => undefined, isLeaving: () => false, leaving: 0 },
      record: (record) => ledger.apply(record),
      steadyMs: () => clock.monotonic(),
      after: (delayMs, run) => clock.after(delayMs, run),
      newId: () => String(id++),
      isDown: () => false,
      onNotice: ({ kind }) => void told.push(kind),
    })
    const alert = { labels: {}, about: undefined, isLasting: true, severity: 'WARNING', message: 'm' } as const
    for (let n = 0; n < 1_000; n++) {
      for (let time = 0; time < 2; time++) desk.occur({ ...alert, key: `alert ${n}`, name: `alert ${n}` })
      await clock.advance(10)
    }
    desk.writeChanged()
    states.looks = 0
    await clock.advance(60_000)
    expect(told.filter((kind) => kind === 'repeated')).toHaveLength(1_000)
    expect(states.looks).toBeLessThan(10_000)
    desk.stop()
    expect(clock.pending).toBe(0)
  })
})
