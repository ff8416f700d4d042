import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as pass } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as http from '@evenkeel/health-monitor/http'

const IDLE_MS = 10_000
const LIVE_AFTER_MS = 1_000
const ROUNDS = 5

/** What a live server costs a bot: its start, its memory, and the processor time of doing nothing. */
export async function live(): Promise<void> {
  console.log('\nhealth: the live server')
  const built = fileURLToPath(new URL('../../packages/health-monitor/dist/http.js', import.meta.url))
  if (!existsSync(built)) return console.warn('  It is left out: `pnpm build` comes first')
  const { LiveServer } = (await import(pathToFileURL(built).href)) as typeof http
  const idleBefore = await idleShare()
  const rss = process.memoryUsage.rss()
  const beganMs = performance.now()
  const server = new LiveServer({ port: 0, host: '127.0.0.1' })
  await server.start()
  const startMs = performance.now() - beganMs
  const rssMb = (process.memoryUsage.rss() - rss) / 1e6
  // While it is young, what it runs is being compiled.
  await pass(IDLE_MS)
  const idleAfter = await idleShare()
  console.log(
    `  start ${startMs.toFixed(0)} ms, memory ${rssMb.toFixed(1)} MB, idle ${(idleAfter - idleBefore).toFixed(2)} % of a core`,
  )
  await server.stop()
  const lateMs: number[] = []
  for (let round = 0; round < ROUNDS; round++) lateMs.push(await blockedLateMs(LiveServer))
  lateMs.sort((a, b) => a - b)
  console.log(
    `  503 after liveAfterMs: ${lateMs.map((ms) => ms.toFixed(0)).join(', ')} ms later (bar 300), ${ROUNDS} blocks of the loop`,
  )
}

/** Asks from another process until the answer is 503, and says when that was. */
const asker = `
const [port] = process.argv.slice(1)
const ask = async () => {
  const { status } = await fetch('http://127.0.0.1:' + port + '/live', { headers: { connection: 'close' } })
  if (status === 503) return process.stdout.write(String(Date.now()))
  setTimeout(ask, 5)
}
ask()
`

/** How much later than `liveAfterMs` a blocked loop is told to be dead, in ms. */
async function blockedLateMs(LiveServer: (typeof http)['LiveServer']): Promise<number> {
  const server = new LiveServer({ port: 0, host: '127.0.0.1', liveAfterMs: LIVE_AFTER_MS })
  await server.start()
  const child = spawn(process.execPath, ['-e', asker, String(server.port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const told = text(child.stdout)
  // It is well on its way by then.
  await pass(1_000)
  const beganAt = Date.now()
  while (Date.now() < beganAt + LIVE_AFTER_MS + 1_000);
  const toldAt = Number(await told)
  await server.stop()
  return toldAt - beganAt - LIVE_AFTER_MS
}

async function idleShare(): Promise<number> {
  const cpu = process.cpuUsage()
  const beganMs = performance.now()
  await pass(IDLE_MS)
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 10 / (performance.now() - beganMs)
}
