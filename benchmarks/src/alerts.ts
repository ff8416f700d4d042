import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type AlertMessage, Alerts } from '@evenkeel/alerts'

const STORM = 10_000
const ROUNDS = 7

/** A storm: ten thousand equal alerts within a second, spread over its turns of the event loop, with a spool on the disk. */
export async function alerts(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const figures: Figure[] = []
  for (let round = 0; round < ROUNDS; round++) figures.push(await storm(collect))
  const [first] = figures
  const sorted = (pick: (figure: Figure) => number): number[] => figures.map(pick).sort((a, b) => a - b)
  const median = (pick: (figure: Figure) => number): number => sorted(pick)[Math.floor(ROUNDS / 2)] ?? Number.NaN
  console.log(`\nalerts: ${STORM} equal ones in a second (median of ${ROUNDS}; the first, cold, in brackets)`)
  console.log(`  messages sent                ${median(({ messages }) => messages)}, one of them the digest`)
  console.log(
    `  event loop held              ${median(({ heldMs }) => heldMs).toFixed(1)} ms (${first?.heldMs.toFixed(1)} ms)`,
  )
  console.log(`  longest turn                 ${median(({ longestMs }) => longestMs).toFixed(2)} ms`)
  console.log(`  heap kept                    ${(median(({ keptBytes }) => keptBytes) / 1e6).toFixed(2)} MB`)
  console.log(`  spool                        ${median(({ accepted }) => accepted)} accounted for`)
}

interface Figure {
  readonly messages: number
  readonly heldMs: number
  readonly longestMs: number
  readonly keptBytes: number
  readonly accepted: number
}

async function storm(collect: () => void): Promise<Figure> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const sent: AlertMessage[] = []
  const ops = { send: async (message: AlertMessage): Promise<void> => void sent.push(message) }
  const alerts = new Alerts({ channels: { ops }, path: join(directory, 'spool'), groupWaitMs: 100, digestMs: 1_000 })
  await alerts.start()
  collect()
  const before = process.memoryUsage().heapUsed
  let heldMs = 0
  let longestMs = 0
  for (let turn = 0; turn < 100; turn++) {
    const beganMs = performance.now()
    for (let n = 0; n < STORM / 100; n++) {
      alerts.fire({
        name: 'database down',
        severity: 'CRITICAL',
        message: `connect ECONNREFUSED, try ${turn * 100 + n}`,
        labels: { component: 'database', shard: 3 },
      })
    }
    const tookMs = performance.now() - beganMs
    heldMs += tookMs
    longestMs = Math.max(longestMs, tookMs)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  collect()
  const keptBytes = process.memoryUsage().heapUsed - before
  while (sent.length < 2) await new Promise((resolve) => setTimeout(resolve, 20))
  await alerts.flush()
  const { accepted, delivered, merged } = alerts.accounting
  if (delivered + merged !== accepted) throw new Error('The counts do not add up')
  await alerts.stop()
  await rm(directory, { recursive: true })
  return { messages: sent.length, heldMs, longestMs, keptBytes, accepted }
}
