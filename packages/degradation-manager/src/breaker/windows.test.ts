import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CountWindow, TimeWindow } from './windows.js'

interface Seen {
  readonly atMs: number
  readonly isFailed: boolean
  readonly isSlow: boolean
}

const calls = fc.array(fc.record({ afterMs: fc.nat(400), isFailed: fc.boolean(), isSlow: fc.boolean() }), {
  maxLength: 200,
})

function counted(seen: readonly Seen[]): unknown {
  return {
    calls: seen.length,
    failures: seen.filter(({ isFailed }) => isFailed).length,
    slow: seen.filter(({ isSlow }) => isSlow).length,
  }
}

it('a window of calls counts exactly the last so many', () => {
  fc.assert(
    fc.property(calls, fc.integer({ min: 1, max: 50 }), (list, size) => {
      const window = new CountWindow(size)
      const seen: Seen[] = []
      for (const { isFailed, isSlow } of list) {
        window.record(isFailed, isSlow)
        seen.push({ atMs: 0, isFailed, isSlow })
        const { calls, failures, slow } = window
        expect({ calls, failures, slow }).toEqual(counted(seen.slice(-size)))
      }
    }),
  )
})

it('a window of time counts exactly the calls of the last ten steps', () => {
  fc.assert(
    fc.property(calls, (list) => {
      const window = new TimeWindow(1_000)
      const seen: Seen[] = []
      let nowMs = 12_345
      for (const { afterMs, isFailed, isSlow } of list) {
        nowMs += afterMs
        window.record(isFailed, isSlow, nowMs)
        seen.push({ atMs: nowMs, isFailed, isSlow })
        const firstStep = Math.floor(nowMs / 100) - 9
        const { calls, failures, slow } = window
        expect({ calls, failures, slow }).toEqual(
          counted(seen.filter(({ atMs }) => Math.floor(atMs / 100) >= firstStep)),
        )
      }
    }),
  )
})

it('a window of time is empty after a long silence', () => {
  const window = new TimeWindow(1_000)
  for (let call = 0; call < 30; call++) window.record(true, false, call * 37)
  // However long it was, it costs no more than a window.
  window.forget(Number.MAX_SAFE_INTEGER)
  expect([window.calls, window.failures]).toEqual([0, 0])
  window.record(true, false, Number.MAX_SAFE_INTEGER)
  expect([window.calls, window.failures]).toEqual([1, 1])
})
