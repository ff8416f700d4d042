// A user's program, by which the smoke test sees that the types of the packed tarballs are the real ones: what is right
// compiles, and what is wrong does not. Nothing runs it.
import { Alerts, discordChannel } from '@evenkeel/alerts'
import { emailChannel } from '@evenkeel/alerts/email'
import { BlueGreen, memoryState } from '@evenkeel/blue-green'
import { errorRate, Judge } from '@evenkeel/canary-judge'
import { DegradationManager } from '@evenkeel/degradation-manager'
import { FeatureFlags } from '@evenkeel/feature-flags'
import { HealthMonitor, storageCheck } from '@evenkeel/health-monitor'
import { runUntilSignal } from '@evenkeel/health-monitor/lifecycle'
import { FailoverStorage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { FakeClock } from '@evenkeel/testing'

const clock = new FakeClock()
const primary = new SqliteStorage({ path: 'data/bot.db' })
const storage = new FailoverStorage({ primary, path: 'data/failover', writers: 'one', clock })
const flags = new FeatureFlags({ flags: { search: { default: true } } })
const health = new HealthMonitor({ checks: { database: { check: storageCheck(storage) } } })
const modes = new DegradationManager({ health, features: { search: { priority: 'optional' } }, rules: [] })
const blueGreen = new BlueGreen({
  versions: { v1: (text: string) => text, v2: (text: string) => text.toUpperCase() },
  initial: 'v1',
  context: (text: string) => ({ eventId: text, guildId: '7' }),
  store: memoryState(),
  health,
})

const judge = new Judge({ metrics: { errors: errorRate() } })

export const isWorse: boolean = judge.judge(judge.start()).verdict === 'HARMFUL'
export const isOn: boolean = flags.isEnabled('search', { guildId: '7' })
const alerts = new Alerts({
  channels: {
    ops: discordChannel({ url: 'https://discord.com/api/webhooks/1/token' }),
    mail: emailChannel({ host: 'smtp.example.com', from: 'bot@example.com', to: 'ops@example.com' }),
  },
  routes: [{ severity: 'CRITICAL', to: ['ops', 'mail'] }],
  path: 'data/alerts',
  clock,
})
alerts.watch(health, storage, modes, blueGreen)

export const life: Promise<unknown> = runUntilSignal([storage, health, modes, alerts, blueGreen])

// @ts-expect-error a misspelt flag
flags.isEnabled('serach', { guildId: '7' })

// @ts-expect-error a metric that was not declared
judge.observe(judge.start(), 'latency', { green: [1], blue: [1] })

// @ts-expect-error a sample of another metric
judge.observe(judge.start(), 'errors', { green: [1], blue: [1] })

// @ts-expect-error who writes must be declared
new FailoverStorage({ primary, path: 'data/failover' })

// @ts-expect-error a feature that was not declared
modes.allows('sing')

// @ts-expect-error a version that does not exist
void blueGreen.deploy('v3')

// @ts-expect-error a check without a function
new HealthMonitor({ checks: { database: {} } })

// @ts-expect-error a route to a channel that was not declared
new Alerts({ channels: {}, routes: [{ to: ['pager'] }], path: false })

// @ts-expect-error a clock is advanced by a number of milliseconds
void clock.advance('1 s')
