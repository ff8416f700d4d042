import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { AdaptiveLimiter } from '../admission/adaptive-limiter.js'
import { Bulkhead } from '../admission/bulkhead.js'
import { CircuitBreaker } from '../breaker/circuit-breaker.js'
import { withSignal } from '../with-signal.js'
import { guard } from './stand-alone.js'

/** Functions as they are out there. What hangs is let go when the test ends it. */
const kinds = ['well', 'ill', 'at once', 'odd error', 'hangs', 'slow', 'slow and ill', 'bad thenable', 'trap'] as const
type Kind = (typeof kinds)[number]

const unreadable = Object.freeze(
  Object.defineProperty(new Error('odd'), 'code', {
    get() {
      throw new Error('not even that')
    },
  }),
)

function hostile(kind: Kind, clock: FakeClock, hanging: (() => void)[]): unknown {
  const later = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))
  switch (kind) {
    case 'well':
      return Promise.resolve('well')
    case 'ill':
      return Promise.reject(new Error('ill'))
    case 'at once':
      throw new Error('at once')
    case 'odd error':
      // Whatever a library throws, and nothing of it can be read.
      return Promise.reject(unreadable)
    case 'hangs':
      return new Promise<void>((resolve) => hanging.push(resolve))
    case 'slow':
      return later(700).then(() => 'late')
    case 'slow and ill':
      return later(700).then(() => Promise.reject(new Error('late and ill')))
    case 'bad thenable':
      return {
        // oxlint-disable-next-line unicorn/no-thenable
        then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
          resolve('first')
          reject(new Error('second'))
          throw new Error('third')
        },
      }
    case 'trap':
      return Object.defineProperty({}, 'then', {
        get() {
          throw new Error('a getter')
        },
      })
  }
}

const step = fc.record({
  kind: fc.constantFrom(...kinds),
  fallback: fc.constantFrom(...kinds),
  priority: fc.constantFrom('critical', 'high', 'normal', 'optional'),
  aborts: fc.boolean(),
  pauseMs: fc.constantFrom(0, 0, 1, 50, 400, 2_000),
})

it('whatever is guarded: every caller is answered in time, every place comes back, nothing is unhandled', async () => {
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      async (steps, idempotent, isAdaptive, takesSignal) => {
        const clock = new FakeClock()
        const hanging: (() => void)[] = []
        const queue = { maxWaiting: 3, maxWaitMs: 300, clock }
        const admission = isAdaptive
          ? new AdaptiveLimiter({ ...queue, initialLimit: 2, maxLimit: 4 })
          : new Bulkhead({ ...queue, maxConcurrent: 2 })
        const breaker = new CircuitBreaker({ clock, windowCalls: 6, minCalls: 3, openMs: 500, random: () => 0.5 })
        let running = 0
        const count = (work: unknown): unknown => {
          running++
          const end = (): void => void running--
          void Promise.resolve(work).then(end, end)
          return work
        }
        const fn = (kind: Kind): unknown =>
          kind === 'well' ? count(hostile(kind, clock, hanging)) : hostile(kind, clock, hanging)
        const guarded = takesSignal
          ? withSignal((_signal: AbortSignal, kind: Kind, _step: (typeof steps)[number], _s?: AbortSignal) => fn(kind))
          : (kind: Kind, _step: (typeof steps)[number], _signal?: AbortSignal) => fn(kind)
        const call = guard('hostile', guarded, {
          clock,
          breaker,
          admission,
          idempotent,
          timeoutMs: 500,
          retry: { attempts: 2, delayMs: 100, timeoutMs: 300, random: () => 0.5 },
          isUserError: (error) => error instanceof Error && error.message === 'at once',
          call: (_kind, { priority }, signal) => ({ priority: priority, key: String(priority), signal }),
          fallback: [
            {
              serve: (_kind, { fallback }) => hostile(fallback, clock, hanging),
              admission: new Bulkhead({ maxConcurrent: 1, clock }),
            },
            (_kind, { fallback }) => hostile(fallback, clock, hanging),
          ],
        })
        let answered = 0
        const answers = steps.map(async (each, index) => {
          await new Promise<void>((resolve) =>
            clock.after(
              steps.slice(0, index).reduce((sum, { pauseMs }) => sum + pauseMs, 0),
              resolve,
            ),
          )
          const controller = each.aborts ? new AbortController() : undefined
          if (controller !== undefined) clock.after(200, () => controller.abort(new Error('gone')))
          const beganMs = clock.monotonic()
          await call(each.kind, each, controller?.signal).catch(() => undefined)
          answered++
          // The call, and each of its fallbacks.
          expect(clock.monotonic() - beganMs).toBeLessThanOrEqual(1_500)
        })
        const totalMs = steps.reduce((sum, { pauseMs }) => sum + pauseMs, 0)
        await clock.advance(totalMs + 2_000)
        await Promise.all(answers)
        expect(answered).toBe(steps.length)
        // Now what hung ends as well, and everything is back.
        while (hanging.length > 0) hanging.pop()?.()
        await clock.advance(2_000)
        expect([admission.inFlight, admission.waiting, running]).toEqual([0, 0, 0])
        const { calls, succeeded, failed, refused, aborted, userErrors } = call.stats
        expect(succeeded + failed + refused + aborted + userErrors).toBe(calls)
        await clock.advance(20_000)
        expect(clock.pending).toBe(0)
      },
    ),
    { numRuns: 150 },
  )
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})
