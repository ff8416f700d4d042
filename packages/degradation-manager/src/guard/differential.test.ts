import {
  bulkhead as cockatielBulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  ConstantBackoff,
  CountBreaker,
  handleAll,
  retry,
  type IBreaker,
} from 'cockatiel'
import fc from 'fast-check'
import Opossum from 'opossum'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { CircuitBreaker } from '../breaker/circuit-breaker.js'
import { guard } from './stand-alone.js'

/*
 * The same random script, played to ours and to a peer, leaves the same trace where they mean the same. Where they do not,
 * the options bring them together, and the difference is argued here:
 *
 * - Ours opens for twice as long after each trial that fails, for a service that is down for an hour need not be tried every
 *   few seconds. Here `maxOpenMs` keeps it equal.
 * - Ours recovers step by step, for both peers let every caller through at once after one trial (99 and 100 of 100 callers).
 *   Here one trial and a ramp of a millisecond make it one step.
 * - Ours begins with an empty window when it is closed again. opossum keeps the failures of the outage, and opens again for
 *   a single one; cockatiel's counting breaker keeps the trial. Both are compared up to that moment.
 * - Ours opens at the threshold, they above it: 50 % of the calls failed is "half of them failed".
 * - Ours follows the monotonic clock: a wall clock that is stepped back by an hour keeps cockatiel's breaker open for an hour.
 */

type Step = 'well' | 'ill' | number

/** Calls that go well or ill, and pauses of some ms. */
const script = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom<Step>('well', 'ill', 'ill') },
    { weight: 1, arbitrary: fc.constantFrom<Step>(10, 300, 500, 1_100) },
  ),
  { minLength: 1, maxLength: 60 },
)

interface Player {
  call(work: () => Promise<string>): Promise<unknown>
  /** Whether it has just been closed again, where its way parts from ours. */
  isOver?(): boolean
}

/** What became of each call: whether it was made, and how it ended. */
async function trace(player: Player, steps: readonly Step[]): Promise<string[]> {
  const seen: string[] = []
  for (const step of steps) {
    // No two calls at the same moment, so that a step of the ramp is over before the next.
    await vi.advanceTimersByTimeAsync(typeof step === 'number' ? step : 2)
    if (typeof step === 'number') continue
    let wasMade = false
    const outcome = await player
      .call(async () => {
        wasMade = true
        if (step === 'ill') throw new Error('ill')
        return 'well'
      })
      .then(
        () => 'well',
        () => 'failed',
      )
    seen.push(wasMade ? outcome : 'refused')
    if (player.isOver?.() === true) break
  }
  return seen
}

/** Plays every script to both. */
async function compare(ours: () => Player, peer: () => Player & { close?: () => void }): Promise<void> {
  await fc.assert(
    fc.asyncProperty(script, async (steps) => {
      const theirs = peer()
      const expected = await trace(theirs, steps)
      theirs.close?.()
      expect((await trace(ours(), steps)).slice(0, expected.length)).toEqual(expected)
    }),
    { numRuns: 400 },
  )
}

const openMs = 1_000
const shared = { openMs, maxOpenMs: openMs, trialCalls: 1, rampMs: 1, random: () => 0 }

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

function ourBreaker(options: ConstructorParameters<typeof CircuitBreaker>[0]): () => Player {
  return () => {
    const breaker = new CircuitBreaker({ ...shared, ...options })
    return { call: (work) => breaker.run(work) }
  }
}

function cockatielBreaker(kind: () => IBreaker, isFirstOnly = false): () => Player {
  return () => {
    const policy = circuitBreaker(handleAll, { halfOpenAfter: openMs, breaker: kind() })
    let wasReset = false
    policy.onReset(() => (wasReset = true))
    return { call: (work) => policy.execute(work), isOver: () => isFirstOnly && wasReset }
  }
}

describe('a breaker does as its peers do', () => {
  it('cockatiel: after so many failures in a row', async () => {
    await compare(
      ourBreaker({ windowCalls: 3, minCalls: 3, failureRatio: 1 }),
      cockatielBreaker(() => new ConsecutiveBreaker(3)),
    )
  })

  it('cockatiel: after a share of the last calls', async () => {
    await compare(
      ourBreaker({ windowCalls: 7, minCalls: 4, failureRatio: 0.5001 }),
      cockatielBreaker(() => new CountBreaker({ threshold: 0.5, size: 7, minimumNumberOfCalls: 4 }), true),
    )
  })

  it('opossum: after a share of the calls of the last minutes', async () => {
    await compare(ourBreaker({ windowMs: 600_000, minCalls: 4, failureRatio: 0.5001 }), () => {
      let work: () => Promise<string> = async () => ''
      const breaker = new Opossum(() => work(), {
        timeout: false,
        resetTimeout: openMs,
        volumeThreshold: 4,
        errorThresholdPercentage: 50,
        rollingCountTimeout: 600_000,
      })
      let wasClosed = false
      breaker.on('close', () => (wasClosed = true))
      return {
        call: (next) => {
          work = next
          return breaker.fire()
        },
        isOver: () => wasClosed,
        close: () => breaker.shutdown(),
      }
    })
  })

  it('but is not held open by a wall clock that is stepped back, as cockatiel’s is', async () => {
    const ours = ourBreaker({ windowCalls: 3, minCalls: 3, failureRatio: 1 })()
    const theirs = cockatielBreaker(() => new ConsecutiveBreaker(3))()
    const outage: Step[] = ['ill', 'ill', 'ill']
    await trace(ours, outage)
    await trace(theirs, outage)
    vi.setSystemTime(Date.now() - 3_600_000)
    expect(await trace(ours, [1_100, 'well'])).toEqual(['well'])
    expect(await trace(theirs, [1_100, 'well'])).toEqual(['refused'])
  })
})

describe('a bulkhead does as cockatiel’s does', () => {
  it('whoever begins and ends when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constant('begin'), fc.constant('end')), { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 4 }),
        async (steps, maxConcurrent, maxWaiting) => {
          const ours = new Bulkhead({ maxConcurrent, maxWaiting, maxWaitMs: 2 ** 31 - 1 })
          const theirs = cockatielBulkhead(maxConcurrent, maxWaiting)
          const priority = 'high'
          const [a, b] = await Promise.all([
            crowd((work) => ours.run(work, { priority }), steps),
            crowd((work) => theirs.execute(work), steps),
          ])
          expect(a).toEqual(b)
        },
      ),
    )
  })
})

/** Callers that begin and end as told; in which order they did. */
async function crowd(run: (work: () => Promise<void>) => Promise<void>, steps: readonly string[]): Promise<string[]> {
  const seen: string[] = []
  const running: (() => void)[] = []
  let next = 0
  for (const step of steps) {
    if (step === 'begin') {
      const caller = next++
      void run(() => {
        seen.push(`${caller} begins`)
        return new Promise<void>((resolve) => running.push(resolve))
      }).catch(() => seen.push(`${caller} is refused`))
    } else running.shift()?.()
    await vi.advanceTimersByTimeAsync(0)
  }
  return seen
}

describe('retries are made as cockatiel makes them', () => {
  it('as often, and at the same moments', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(5), fc.integer({ min: 1, max: 4 }), async (failures, attempts) => {
        const moments = async (run: (work: () => Promise<string>) => Promise<string>): Promise<unknown[]> => {
          const startedMs = performance.now()
          const seen: unknown[] = []
          let left = failures
          const answer = run(async () => {
            seen.push(Math.round(performance.now() - startedMs))
            if (left-- > 0) throw new Error('ill')
            return 'well'
          }).then(
            () => seen.push('well'),
            () => seen.push('failed'),
          )
          await vi.advanceTimersByTimeAsync(5_000)
          await answer
          return seen
        }
        const theirs = retry(handleAll, { maxAttempts: attempts, backoff: new ConstantBackoff(100) })
        const options = { attempts, delayMs: 100, maxDelayMs: 100, random: () => 1 }
        expect(await moments((work) => guard('work', work, { retry: options })())).toEqual(
          await moments((work) => theirs.execute(work)),
        )
      }),
      { numRuns: 50 },
    )
  })
})
