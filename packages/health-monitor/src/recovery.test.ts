import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { HealthMonitor } from './health-monitor.js'
import type { CheckOptions } from './options.js'

const NAMES = ['a', 'b', 'c', 'd'] as const
type Name = (typeof NAMES)[number]

const name = fc.constantFrom(...NAMES)
const mode = fc.constantFrom('up' as const, 'degraded' as const, 'down' as const, 'hangs' as const, 'is slow' as const)
const ms = fc.constantFrom(0, 100, 2_000, 15_000, 40_000)

/** What may happen to a bot. */
const mishap = fc.oneof(
  fc.record({ what: fc.constant('becomes' as const), name, mode }),
  fc.record({ what: fc.constant('report' as const), name, status: fc.constantFrom('up', 'down', 'unknown') }),
  fc.record({ what: fc.constant('look' as const), name }),
  fc.record({ what: fc.constant('time' as const), ms }),
  fc.record({ what: fc.constant('clock' as const), ms: fc.constantFrom(3_600_000, -3_600_000) }),
  fc.record({ what: fc.constantFrom('stop' as const, 'start' as const) }),
)

const landscape = fc.constantFrom<Partial<Record<Name, Name[]>>>(
  {},
  { b: ['a'], c: ['b'], d: ['c'] },
  { b: ['a'], c: ['a'], d: ['b', 'c'] },
)

it('runs no check twice at once, tells every change, and finds out how all is, whatever happened before', async () => {
  await fc.assert(
    fc.asyncProperty(
      landscape,
      fc.constantFrom(1, 4),
      fc.array(mishap, { maxLength: 30 }),
      async (needs, most, all) => {
        const clock = new FakeClock()
        const modes = new Map<Name, string>()
        let mostAtOnce = 0
        const looksAt = (name: Name) => {
          let atOnce = 0
          return async (): Promise<{ status: 'up' | 'degraded' | 'down' }> => {
            mostAtOnce = Math.max(mostAtOnce, ++atOnce)
            const is = modes.get(name) ?? 'up'
            if (is === 'is slow') await new Promise<void>((resolve) => void clock.after(3_000, resolve))
            while (modes.get(name) === 'hangs') await new Promise<void>((resolve) => void clock.after(700, resolve))
            atOnce--
            return { status: is === 'down' || is === 'degraded' ? is : 'up' }
          }
        }
        const checkOf = (name: Name): CheckOptions<Name> => ({
          check: looksAt(name),
          failuresToDown: most,
          dependsOn: needs[name] ?? [],
        })
        const checks = { a: checkOf('a'), b: checkOf('b'), c: checkOf('c'), d: checkOf('d') }
        const health = new HealthMonitor<Name>({ checks, clock, random: () => 0.3 })
        const told = new Map<string, string>()
        health.on('change', ({ what, from, to }) => {
          expect(told.get(what) ?? 'unknown').toBe(from)
          told.set(what, to)
        })
        await health.start()
        for (const each of all) {
          if (each.what === 'becomes') modes.set(each.name, each.mode)
          else if (each.what === 'report') health.report(each.name, each.status, 'said so')
          else if (each.what === 'look') void health.check(each.name)
          else if (each.what === 'time') await clock.advance(each.ms)
          else if (each.what === 'clock') clock.jump(each.ms)
          else await health[each.what]()
        }
        modes.clear()
        await health.start()
        await clock.advance(120_000)
        expect([...health.components.values()].map(({ status }) => status)).toEqual(NAMES.map(() => 'up'))
        expect([health.status, told.get('health'), mostAtOnce]).toEqual(['up', 'up', 1])
        for (const each of NAMES) modes.set(each, 'down')
        await clock.advance(60_000)
        const isRoot = (each: Name): boolean => needs[each] === undefined
        const expected = NAMES.map((each) => (isRoot(each) ? 'down' : 'unknown'))
        expect([...health.components.values()].map(({ status }) => status)).toEqual(expected)
        await health.stop()
        await clock.advance(10_000)
        expect(clock.pending).toBe(0)
      },
    ),
    { numRuns: 150, seed: 7 },
  )
})
