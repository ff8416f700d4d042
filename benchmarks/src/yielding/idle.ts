import { Bulkhead, CircuitBreaker, guard } from '@evenkeel/degradation-manager'
import { bulkhead, circuitBreaker, ConsecutiveBreaker, handleAll, wrap } from 'cockatiel'
import Opossum from 'opossum'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const COUNT = 1_000
const SECONDS = 20

/** A guarded function, and what ends it. */
interface Made {
  readonly call: (value: number) => Promise<number>
  readonly close?: () => void
}

const work = async (value: number): Promise<number> => value

const kinds: Readonly<Record<string, () => Made>> = {
  'nothing but the function': () => ({ call: (value) => work(value) }),
  'evenkeel guard with a deadline': () => ({ call: guard('idle', work, { timeoutMs: 2_000 }) }),
  'evenkeel breaker': () => ({ call: work, breaker: new CircuitBreaker() }),
  'evenkeel bulkhead': () => ({ call: work, bulkhead: new Bulkhead({ maxConcurrent: 10 }) }),
  'evenkeel breaker + bulkhead + deadline': () => ({
    call: guard('idle', work, {
      timeoutMs: 2_000,
      breaker: new CircuitBreaker(),
      admission: new Bulkhead({ maxConcurrent: 10 }),
    }),
  }),
  'cockatiel breaker + bulkhead': () => {
    const breaker = circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) })
    const policy = wrap(breaker, bulkhead(10))
    return { call: (value) => policy.execute(() => work(value)) }
  },
  opossum: () => {
    const breaker = new Opossum(work, { timeout: 2_000, capacity: 10 })
    return { call: (value) => breaker.fire(value), close: () => breaker.shutdown() }
  },
}

/** What a thousand guards cost that nobody calls: memory, timers, and the processor over a while. */
export async function idle(): Promise<void> {
  const asked = process.argv[3]
  if (asked !== undefined) return measured(asked)
  console.log(`\n${COUNT} idle guards: memory of each (when new / when called once), timers, CPU over ${SECONDS} s`)
  // Each in a process of its own, or what one leaves behind is counted against the next.
  for (const kind of Object.keys(kinds)) {
    const child = fork(process.argv[1] as string, ['idle', kind])
    await once(child, 'exit')
  }
}

async function measured(kind: string): Promise<void> {
  const make = kinds[kind] as () => Made
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let warmUp = 0; warmUp < 100; warmUp++) {
    const { call, close } = make()
    await call(1)
    close?.()
  }
  await sleep(3_000)
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
  const share = ((100 * (user + system)) / (SECONDS * 1e6)).toFixed(3)
  const bytes = `${Math.round(newBytes / COUNT)} / ${Math.round(usedBytes / COUNT)} bytes`
  console.log(`  ${kind.padEnd(44)} ${bytes}, ${ticking} timers, ${share} % of a core`)
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
