/*
 * The long form of the crash tests of alerts: kills bots that raise alerts at random steps, again and again on the same
 * spool, while the receiver refuses, cuts the line, asks for a pause or loses its answer.
 *
 *   pnpm chaos:alerts --seed 7 --rounds 20 --kills 20
 *
 * The same seed strikes at the same places. It ends with exit code 1 when an alert was lost, told under two keys, or not
 * accounted for.
 */
import { parseArgs } from 'node:util'
import { bundleChild } from '../packages/alerts/src/test-support/child.js'
import { killBots, unreliable } from '../packages/alerts/src/test-support/kills.js'
import { below, randomFrom } from '../packages/alerts/src/test-support/random.js'

/** A bot takes about so many steps in its life; some come to their end. */
const STEPS = 70

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    rounds: { type: 'string', default: '20' },
    kills: { type: 'string', default: '20' },
  },
})
const random = randomFrom(Number(values.seed))
console.log(`seed ${values.seed}`)
await using bot = await bundleChild('alerts-child.ts')
let isWhole = true
const total = { crashes: 0, 'stored alerts checked': 0, 'repeated under the same key': 0, faults: 0 }
for (let round = 0; round < Number(values.rounds); round++) {
  const killAts = Array.from({ length: Number(values.kills) }, () => 1 + below(random, STEPS))
  const { crashes, checked, duplicates, faults } = await killBots(bot, killAts, unreliable(random))
  for (const fault of faults) console.error(`round ${round}: ${fault}`)
  isWhole &&= faults.length === 0
  total.crashes += crashes
  total['stored alerts checked'] += checked
  total['repeated under the same key'] += duplicates
  total.faults += faults.length
}
console.table([total])
process.exitCode = isWhole ? 0 : 1
