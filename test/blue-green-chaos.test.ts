import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundlePrograms, type Programs } from '../scripts/chaos-blue-green/bundle.js'
import { runChaos } from '../scripts/chaos-blue-green/chaos.js'
import type { Kind } from '../scripts/chaos-blue-green/plan.js'

/** `pnpm chaos blue-green --runs 1000 --seed 1` for the long form. */
const seed = Number(process.env['EVENKEEL_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const runs = Number(process.env['EVENKEEL_RUNS'] ?? 3)

describe('under chaos, with the real discord.js and real processes, no event is lost and no effect is committed twice', () => {
  let programs: Programs

  beforeAll(() => {
    programs = bundlePrograms()
  })

  afterAll(() => programs[Symbol.dispose]())

  it.each<[string, Kind]>([
    ['while whole bots come, take over, go, are killed and stand still', 'bots'],
    ['while versions are shifted, rolled back and killed, and their owner is', 'owner'],
    ['while owners with such versions replace one another', 'pair'],
  ])('%s', { timeout: 120_000 }, async (_, kind) => {
    const { tally, faults } = await runChaos({ seed, runs, kinds: [kind], servers: {}, lanes: 1, programs })
    expect(faults, `seed ${seed}\n${faults.join('\n')}`).toEqual([])
    expect(tally).toMatchObject({ lost: 0, 'effects committed twice': 0 })
    expect(tally.events).toBeGreaterThan(0)
  })
})
