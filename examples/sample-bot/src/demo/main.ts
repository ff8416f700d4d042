import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startStandin } from '@evenkeel-examples/discord-standin'
import { createBot, type SampleBot } from '../bot.js'
import { startTranslationService } from '../translation-service.js'
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
const bot = await createBot({
  token: standin.token,
  api: standin.api,
  dataDirectory,
  translateUrl: translation.url,
  minDwellMs: 4 * pace.secondMs,
  probeIntervalMs: pace.secondMs / 2,
  cooldownMs: 2 * pace.secondMs,
})

const beganMs = performance.now()
const second = (): number => (performance.now() - beganMs) / 1_000
const severityColours = { INFO: 'green', WARNING: 'yellow', CRITICAL: 'red' } as const
for (const part of [bot.storage, bot.flags, bot.health, bot.modes, bot.blueGreen]) {
  const told = part as { on(event: 'change', listener: (change: Change) => void): unknown }
  told.on('change', ({ severity, message }) => view.log(second(), severityColours[severity], message))
}

interface Change {
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

  const marks = await play(bot, standin, pace, {
    act(title) {
      act = title
      view.log(second(), 'bold', title)
    },
    say: (text) => view.log(second(), 'cyan', text),
  })

  const ledger = await standin.ledger()
  const verdict = judge(ledger)
  view.end()
  view.write(
    report(verdict, {
      secondsPlayed: second(),
      guildCount,
      promiseAfterFailureMs: firstPromiseAfter(ledger, marks.databaseFailedAt),
      replayMs: marks.backOnDatabaseAt - marks.databaseHealedAt,
      rollback: apologiesAfter(ledger, marks.faultyDeployedAt),
      marks,
    }),
  )
  const asPlanned = marks.goodOutcome === 'COMPLETE' && marks.faultyOutcome === 'ROLLED_BACK'
  exitCode = isClean(verdict) && verdict.promised > 0 && asPlanned ? 0 : 1
} catch (error) {
  view.end()
  console.error('The demo could not be played to its end:', error)
} finally {
  clearInterval(ticker)
  for (const part of [...bot.parts].reverse()) await part.stop()
  await translation.stop()
  await standin.stop()
  await rm(dataDirectory, { recursive: true, force: true })
}
process.exitCode = exitCode

/** What the audience sees while the demo runs is the bot's own view; the verdict at the end is the ledger's. */
function picture({ health, modes, flags, blueGreen, storage, load, reminders }: SampleBot): Picture {
  const { count, medianMs, p99Ms } = load.take()
  const { active, phase, deployment } = blueGreen.status
  return {
    second: second(),
    act,
    components: [...health.components].map(([name, { status, reason }]) => ({ name, status, reason })),
    mode: modes.mode,
    flags: [describeFlag(flags.status('leaderboard')), describeFlag(flags.status('medals'))],
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

function describeFlag({ name, state, percentage }: FlagStatus): string {
  return `${name} ${percentage === undefined ? state : `${percentage} % ${state}`}`
}
