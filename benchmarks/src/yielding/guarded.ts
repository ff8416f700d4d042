import { Bulkhead, CircuitBreaker, guard } from '@evenkeel/degradation-manager'
import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  fallback,
  handleAll,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel'
import Opossum from 'opossum'
import { measure, print } from '../measure.js'

type Call = (value: number) => Promise<number>

/** A guarded call around a function that answers at once: what the guard itself costs while all is well. */
export async function guarded(): Promise<void> {
  const work: Call = async (value) => value
  const lean = guard('lean', work, {
    timeoutMs: Infinity,
    breaker: new CircuitBreaker(),
    admission: new Bulkhead({ maxConcurrent: 10 }),
  })
  const full = guard('full', work, {
    timeoutMs: 2_000,
    breaker: new CircuitBreaker(),
    admission: new Bulkhead({ maxConcurrent: 10 }),
    fallback: () => 0,
  })
  const cockatielLean = wrap(circuitBreaker(handleAll, breakerOptions()), bulkhead(10))
  const cockatielFull = wrap(
    fallback(handleAll, 0),
    circuitBreaker(handleAll, breakerOptions()),
    bulkhead(10),
    timeout(2_000, TimeoutStrategy.Aggressive),
  )
  const opossumLean = new Opossum(work, { timeout: false, capacity: 10 })
  const opossumFull = new Opossum(work, { timeout: 2_000, capacity: 10 })
  opossumFull.fallback(() => 0)
  print(
    'guard: one call of an async function that answers at once',
    await measure(
      [
        { name: 'floor: the call itself', run: (count) => times(count, work) },
        { name: 'evenkeel breaker + bulkhead', run: (count) => times(count, lean) },
        { name: '+ deadline + fallback + latencies', run: (count) => times(count, full) },
        {
          name: 'cockatiel breaker + bulkhead',
          run: (count) => times(count, (value) => cockatielLean.execute(() => work(value))),
        },
        {
          name: 'cockatiel + deadline + fallback',
          run: (count) => times(count / 20, (value) => cockatielFull.execute(() => work(value))),
          share: 1 / 20,
        },
        { name: 'opossum, no deadline', run: (count) => times(count, (value) => opossumLean.fire(value)) },
        { name: 'opossum, deadline, fallback', run: (count) => times(count, (value) => opossumFull.fire(value)) },
      ],
      50_000,
    ),
  )
  opossumLean.shutdown()
  opossumFull.shutdown()
}

function breakerOptions(): Parameters<typeof circuitBreaker>[1] {
  return { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) }
}

async function times(count: number, call: Call): Promise<void> {
  for (let i = 0; i < count; i++) await call(i)
}
