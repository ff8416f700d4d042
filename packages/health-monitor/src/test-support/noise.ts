import { FakeClock } from '@evenkeel/testing'
import { HealthMonitor } from '../health-monitor.js'
import { seeded } from './seeded.js'

const DAY_MS = 86_400_000

/** Whether a component answers at a moment. */
export type World = (ms: number) => boolean

/** One look in twenty fails, whatever came before. */
export function noise(seed: number): World {
  const random = seeded(seed)
  return () => random() >= 0.05
}

/** Twenty times an hour it is away for 2 s, on average and at random. */
export function blips(seed: number): World {
  const random = seeded(seed)
  const exponential = (mean: number): number => -mean * Math.log(1 - random())
  let blip = { from: 0, to: 0 }
  return (ms) => {
    while (blip.to < ms) {
      const from = blip.to + exponential(3_600_000 / 20)
      blip = { from, to: from + exponential(2_000) }
    }
    return ms < blip.from
  }
}

/** How often a monitor with its defaults says a day that a component, which is well, changed its status. */
export async function flipsADay(world: World, days: number, seed: number): Promise<number> {
  const { clock, health } = watched(world, seed)
  let flips = 0
  health.on('change', ({ what, from }) => {
    if (what === 'db' && from !== 'unknown') flips++
  })
  await health.start()
  await clock.advance(days * DAY_MS)
  await health.stop()
  return flips / days
}

/** How long it takes on average to say that a component is down for good, wherever between two looks it dies. */
export async function detectionMs(trials: number): Promise<number> {
  let totalMs = 0
  for (let trial = 0; trial < trials; trial++) {
    // As often in the first as in the last moment after a look.
    const diesMs = 60_000 + ((trial + 0.5) / trials) * 10_000
    const { clock, health } = watched((ms) => ms < diesMs, trial)
    let toldMs = 0
    health.on('change', ({ what, to }) => {
      if (what === 'db' && to === 'down') toldMs = clock.monotonic()
    })
    await health.start()
    await clock.advance(120_000)
    await health.stop()
    totalMs += toldMs - diesMs
  }
  return totalMs / trials
}

function watched(world: World, seed: number): { clock: FakeClock; health: HealthMonitor<'db'> } {
  const clock = new FakeClock()
  const check = (): boolean => world(clock.monotonic())
  return { clock, health: new HealthMonitor({ checks: { db: { check } }, clock, random: seeded(seed) }) }
}
