import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startStandin } from '@evenkeel-examples/discord-standin'
import { webhookChannel } from '@evenkeel/alerts'
import { createBot, type SampleBot } from '../bot.js'
import { paced, readPlans } from '../plans.js'
import { startTranslationService } from '../translation-service.js'
import { startInbox } from './inbox.js'
import { fast, play, watchable } from './scenario.js'
import { report } from './report.js'
import { apologiesAfter, firstPromiseAfter, isClean, judge } from './verdict.js'
import { View, type Picture } from './view.js'
import type { FlagStatus } from '@evenkeel/feature-flags'

const { values: args } = parseArgs({ options: { fast: { type: 'boolean', default: false } } })
const pace = args.fast ? fast : watchable
const guildCount = 300

const view = new View(process.stdout)
const dataDirectory = await mkdtemp(join(tmpdir(), 'evenkeel-demo-'))
const standin = await startStandin({ guilds: guildCount, heartbeatIntervalMs: 5_000 })
const translation = await startTranslationService()
const inbox = await startInbox()
// The demo has plans of its own, with seconds for days, and `--fast` has less than a second for each of them.
const written = await readPlans(fileURLToPath(new URL('rollouts', import.meta.url)))
const plans = {
  soonestFirst: paced(written.soonestFirst, pace.secondMs / 1_000),
  keepNames: paced(written.keepNames, pace.secondMs / 1_000),
}
const bot = await createBot({
  token: standin.token,
  api: standin.api,
  dataDirectory,
  translateUrl: translation.url,
  plans,
  lookIntervalMs: pace.lookIntervalMs,
  minDwellMs: 4 * pace.secondMs,
  probeIntervalMs: pace.secondMs / 2,
  cooldownMs: 2 * pace.secondMs,
  alertChannels: { operators: webhookChannel({ url: inbox.url, secret: inbox.secret, maxPerMinute: 600 }) },
  alertWaitMs: pace.secondMs,
  healthPort: 0,
  livePort: 0,
})

const beganMs = performance.now()
const second = (): number => (performance.now() - beganMs) / 1_000
const severityColours = { INFO: 'green', WARNING: 'yellow', CRITICAL: 'red' } as const
const rollouts = Object.values(bot.rollouts)
for (const part of [bot.storage, bot.flags, bot.health, bot.modes, bot.blueGreen, ...rollouts]) {
  const told = part as { on(event: 'change', listener: (change: Change) => void): unknown }
  told.on('change', ({ what, severity, message }) => {
    // How a flag moves is told by its rollout.
    const isToldTwice = part === bot.flags && what !== undefined && what in bot.rollouts
    if (!isToldTwice) view.log(second(), severityColours[severity], message)
  })
}

interface Change {
  readonly what?: string
  readonly severity: keyof typeof severityColours
  readonly message: string
}

let act = 'Starting'
let exitCode = 1
const ticker = setInterval(() => view.draw(picture(bot)), 200)
try {
  view.write(`A reminder bot on discord.js serves ${guildCount} guilds of a loopback Discord in another process.`)
  view.write(`Reminders are kept in ${bot.database.kind}.`)
  for (const part of bot.parts) await part.start()
  view.write(`Its health: http://127.0.0.1:${bot.pages?.port}/health, and /metrics beside it.`)

  const marks = await play(bot, standin, pace, {
    act(title) {
      act = title
      view.log(second(), 'bold', title)
    },
    say: (text) => view.log(second(), 'cyan', text),
  })

  const ledger = await standin.ledger()
  const verdict = judge(ledger)
  await bot.alerts.flush()
  const told = inbox.about('database')
  const crashSeen = apologiesAfter(ledger, marks.crashingDeployedAt, marks.slowFeatureBegunAt)
  const slowFeatureSeen = apologiesAfter(ledger, marks.slowFeatureBegunAt)
  view.end()
  view.write(
    report(verdict, {
      secondsPlayed: second(),
      guildCount,
      promiseAfterFailureMs: firstPromiseAfter(ledger, marks.databaseFailedAt),
      replayMs: marks.backOnDatabaseAt - marks.databaseHealedAt,
      rollback: apologiesAfter(ledger, marks.faultyDeployedAt, marks.crashingDeployedAt),
      crash: crashSeen,
      slowFeature: slowFeatureSeen,
      alerts: { count: inbox.count, database: told },
      marks,
    }),
  )
  const asPlanned =
    [marks.goodOutcome, marks.featureOutcome].every((outcome) => outcome === 'COMPLETE') &&
    [marks.faultyOutcome, marks.crashingOutcome, marks.slowFeatureOutcome].every(
      (outcome) => outcome === 'ROLLED_BACK',
    ) &&
    marks.featurePercentage === 100 &&
    marks.takenOver > 0 &&
    crashSeen.count + slowFeatureSeen.count === 0 &&
    told.began === 1 &&
    told.ended === 1
  exitCode = isClean(verdict) && verdict.promised > 0 && asPlanned ? 0 : 1
} catch (error) {
  view.end()
  console.error('The demo could not be played to its end:', error)
} finally {
  clearInterval(ticker)
  for (const part of [...bot.parts, ...rollouts].reverse()) await part.stop()
  await translation.stop()
  await inbox.stop()
  await standin.stop()
  await rm(dataDirectory, { recursive: true, force: true })
}
process.exitCode = exitCode

/** What the audience sees while the demo runs is the bot's own view; the verdict at the end is the ledger's. */
function picture({ health, modes, flags, blueGreen, rollouts, storage, load, reminders }: SampleBot): Picture {
  const { count, medianMs, p99Ms } = load.take()
  const { active, phase, deployment } = blueGreen.status
  return {
    second: second(),
    act,
    components: [...health.components].map(([name, { status, reason }]) => ({ name, status, reason })),
    mode: modes.mode,
    flags: (['soonestFirst', 'keepNames', 'medals', 'leaderboard'] as const).map((name) =>
      describeFlag(flags.status(name), rollouts),
    ),
    from: deployment?.from ?? active,
    to: deployment?.to,
    phase,
    percentage: deployment?.percentage ?? 0,
    keptOn: storage.state.on === 'primary' ? 'database' : 'local journal',
    journalLength: storage.state.journalLength,
    perSecond: count * 5,
    medianMs,
    p99Ms,
    inFlight: load.inFlight,
    remindersPending: reminders.pending,
  }
}

function describeFlag({ name, state, percentage }: FlagStatus, rollouts: SampleBot['rollouts']): string {
  const rollout = Object.values(rollouts).find(({ status }) => status.flag === name)?.status.state ?? 'PENDING'
  const share = percentage === undefined ? '' : ` ${percentage} %`
  if (state !== 'active') return `${name}${share} ${state}`
  return rollout === 'PENDING' ? `${name}${share}` : `${name}${share} ${rollout}`
}
