import { CircuitBreaker, guard } from '@evenkeel/degradation-manager'
import { circuitBreaker, ConsecutiveBreaker, handleAll } from 'cockatiel'
import Opossum from 'opossum'
import { measure, print } from '../measure.js'

type Call = (value: number) => Promise<number>

const failure = new Error('ECONNREFUSED')
const fails: Call = async () => {
  throw failure
}

/** What a guard costs on the day for which it was made: refused calls, and failing ones in a full window. */
export async function failing(): Promise<void> {
  const breaker = new CircuitBreaker()
  breaker.hold('open', { why: 'a benchmark' })
  const served = guard('served', fails, { breaker, fallback: () => 0 })
  const refused = guard('refused', fails, { breaker })
  const cockatiel = circuitBreaker(handleAll, { halfOpenAfter: 1e9, breaker: new ConsecutiveBreaker(1) })
  await cockatiel.execute(() => fails(0)).catch(() => undefined)
  const opossum = new Opossum(fails)
  opossum.open()
  const opossumServed = new Opossum(fails)
  opossumServed.fallback(() => 0)
  opossumServed.open()
  print(
    'an open breaker: one call',
    await measure(
      [
        { name: 'floor: an async call', run: (count) => times(count, async (value) => value) },
        { name: 'evenkeel, a fallback answers', run: (count) => times(count, served) },
        { name: 'opossum, a fallback answers', run: (count) => times(count, (value) => opossumServed.fire(value)) },
        { name: 'floor: a rejected call, caught', run: (count) => times(count, caught(fails)) },
        { name: 'evenkeel, refused', run: (count) => times(count, caught(refused)) },
        {
          name: 'cockatiel, refused',
          run: (count) =>
            times(
              count,
              caught((value) => cockatiel.execute(() => fails(value))),
            ),
        },
        {
          name: 'opossum, refused',
          run: (count) =>
            times(
              count,
              caught((value) => opossum.fire(value)),
            ),
        },
      ],
      20_000,
    ),
  )
  opossum.shutdown()
  opossumServed.shutdown()

  const many = new CircuitBreaker({ windowCalls: 50_000, minCalls: 50_000, failureRatio: 1 })
  const filled = guard('filled', fails, { breaker: many })
  // One of 10,000 goes well, so that the breaker stays closed however often it is called.
  const failOften = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 10_000) {
      await many.run(async () => 0)
      await times(Math.min(left, 10_000), caught(filled))
    }
  }
  await failOften(60_000)
  if (many.counts.calls !== 50_000) throw new Error(`The window holds ${many.counts.calls} calls`)
  const sampling = new Opossum(fails, { volumeThreshold: 1e9, rollingCountTimeout: 600_000 })
  await times(
    50_000,
    caught((value) => sampling.fire(value)),
  )
  print(
    'a failing call with 50,000 in the window',
    await measure(
      [
        { name: 'floor: a rejected call, caught', run: (count) => times(count, caught(fails)) },
        { name: 'evenkeel', run: failOften },
        {
          name: 'opossum',
          run: (count) =>
            times(
              count / 500,
              caught((value) => sampling.fire(value)),
            ),
          share: 1 / 500,
        },
      ],
      20_000,
      5,
    ),
  )
  if (many.state !== 'closed') throw new Error('The breaker has opened, so refusals were measured')
  sampling.shutdown()
}

function caught(call: Call): Call {
  return async (value) => {
    try {
      return await call(value)
    } catch {
      return 0
    }
  }
}

async function times(count: number, call: Call): Promise<void> {
  for (let i = 0; i < count; i++) await call(i)
}
