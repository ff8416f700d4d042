import { existsSync } from 'node:fs'
import { setTimeout as pass } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as http from '@evenkeel/health-monitor/http'

const IDLE_MS = 10_000

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
}

async function idleShare(): Promise<number> {
  const cpu = process.cpuUsage()
  const beganMs = performance.now()
  await pass(IDLE_MS)
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 10 / (performance.now() - beganMs)
}
