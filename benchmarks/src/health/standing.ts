import { HealthMonitor } from '@evenkeel/health-monitor'
import { setTimeout as sleep } from 'node:timers/promises'

const CHECKS = 100
const SECONDS = 60

/** What 100 checks at their default interval cost while all is well: the share of one core, over a minute. */
export async function standing(): Promise<void> {
  console.log(`\nStanding cost, CPU of the process over ${SECONDS} s, as a share of one core`)
  for (const [name, options] of [
    ['an empty process', undefined],
    [`${CHECKS} checks, the event loop not watched`, { loop: false }],
    [`${CHECKS} checks, the event loop watched`, {}],
  ] as const) {
    const checks = Object.fromEntries(Array.from({ length: CHECKS }, (_, index) => [`c${index}`, { check }]))
    const health = options === undefined ? undefined : new HealthMonitor({ checks, ...options })
    await health?.start()
    // The first looks come all at once, and what they run is compiled.
    await sleep(15_000)
    const before = process.cpuUsage()
    await sleep(SECONDS * 1_000)
    const { user, system } = process.cpuUsage(before)
    await health?.stop()
    console.log(`  ${name.padEnd(44)} ${((100 * (user + system)) / (SECONDS * 1e6)).toFixed(3)} %`)
  }
}

function check(): Promise<void> {
  return Promise.resolve()
}
