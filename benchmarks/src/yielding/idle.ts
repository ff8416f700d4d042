import { Bulkhead, CircuitBreaker, guard } from '@evenkeel/degradation-manager'
import { bulkhead, circuitBreaker, ConsecutiveBreaker, handleAll, wrap } from 'cockatiel'
import Opossum from 'opossum'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const COUNT = 1_000
const SECONDS = 20

/** What a thousand guards cost that nobody calls: memory, timers, and the processor over a while. */
export async function idle(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const work = async (value: number): Promise<number> => value
  const kinds: [string, () => { close?: () => void; call: (value: number) => Promise<number> }][] = [
    [
      'evenkeel breaker + bulkhead + deadline',
      () => ({
        call: guard('idle', work, {
          timeoutMs: 2_000,
          breaker: new CircuitBreaker(),
          admission: new Bulkhead({ maxConcurrent: 10 }),
        }),
      }),
    ],
    [
      'cockatiel breaker + bulkhead',
      () => {
        const breaker = circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) })
        const policy = wrap(breaker, bulkhead(10))
        return { call: (value) => policy.execute(() => work(value)) }
      },
    ],
    [
      'opossum',
      () => {
        const breaker = new Opossum(work, { timeout: 2_000, capacity: 10 })
        return { call: (value) => breaker.fire(value), close: () => breaker.shutdown() }
      },
    ],
  ]
  console.log(`\n${COUNT} idle guards: memory of each (when new / when called once), timers, CPU over ${SECONDS} s`)
  for (const [name, make] of kinds) {
    make().close?.()
    const emptyBytes = settled(collect)
    const timersBefore = timers()
    const made = Array.from({ length: COUNT }, make)
    const newBytes = settled(collect) - emptyBytes
    for (const { call } of made) await call(1)
    await sleep(3_000)
    const usedBytes = settled(collect) - emptyBytes
    const ticking = timers() - timersBefore
    const before = process.cpuUsage()
    await sleep(SECONDS * 1_000)
    const { user, system } = process.cpuUsage(before)
    for (const { close } of made) close?.()
    console.log(
      `  ${name.padEnd(44)} ${Math.round(newBytes / COUNT)} / ${Math.round(usedBytes / COUNT)} bytes, ${ticking} timers, ${((100 * (user + system)) / (SECONDS * 1e6)).toFixed(3)} % of a core`,
    )
  }
}

function settled(collect: () => void): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
}

/** Those that would keep the process alive, and none of ours would: so both kinds are counted. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}
