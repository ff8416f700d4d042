import { discordRestCheck } from '../discord.js'
import {
  cpuCheck,
  errorRateCheck,
  flagCheck,
  type HealthCheck,
  latencyCheck,
  logCheck,
  memoryGrowthCheck,
  poolCheck,
  processCheck,
  tcpCheck,
} from '../index.js'
import { Metrics } from '../metrics.js'

const calls = new Metrics().calls('bot_command', { help: 'How long commands take.' })

export const checks: readonly HealthCheck[] = [
  cpuCheck(),
  errorRateCheck(() => calls.errors()),
  latencyCheck(() => calls.latency()),
  memoryGrowthCheck({ read: () => process.memoryUsage.rss() }),
  poolCheck({ totalCount: 1, idleCount: 1, waitingCount: 0 }),
  processCheck({ pidFile: 'bot.pid' }),
  tcpCheck({ port: 5432 }),
]

// @ts-expect-error the option is called windowMs
cpuCheck({ window: 5 })
// @ts-expect-error calls alone say nothing of errors
errorRateCheck(() => ({ calls: 5 }))
// @ts-expect-error figures, not a function that gives them
latencyCheck({ bounds: [], counts: [] })
// @ts-expect-error a pattern, not a word
logCheck('bot.log', { pattern: 'error' })
// @ts-expect-error either the number or the file
processCheck({ pid: 5, pidFile: 'bot.pid' })
// @ts-expect-error neither of them
processCheck({})
// @ts-expect-error no port
tcpCheck({ host: 'localhost' })
// @ts-expect-error a Map is no pool
poolCheck(new Map())
// @ts-expect-error names alone are no flags
flagCheck({ names: [] })
// @ts-expect-error no part that talks over HTTP
discordRestCheck({ ws: { shards: new Map() } })

// Only this one has something to end.
declare const client: Parameters<typeof discordRestCheck>[0]
discordRestCheck(client).stop()
// @ts-expect-error nothing to stop
export type Stop = ReturnType<typeof cpuCheck>['stop']
