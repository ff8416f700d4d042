import { logAll, runUntilSignal } from '@evenkeel/health-monitor/lifecycle'
import { createBot } from './bot.js'
import { startTranslationService } from './translation-service.js'

// With a token this is a real bot; without one it talks to a stand-in for Discord on this machine.
const token = process.env['DISCORD_TOKEN']
const standin = token === undefined ? await startTrialDiscord() : undefined
const translation = await startTranslationService()

const bot = await createBot({
  token: token ?? standin?.token ?? '',
  ...(standin === undefined ? {} : { api: standin.api }),
  dataDirectory: process.env['DATA_DIRECTORY'] ?? 'data',
  translateUrl: process.env['TRANSLATE_URL'] ?? translation.url,
})
logAll(console, bot.storage, bot.flags, bot.health, bot.modes, bot.blueGreen)
console.log(`Reminders are kept in ${bot.database.kind}: ${bot.database.path}`)

await runUntilSignal([translation, ...(standin === undefined ? [] : [standin]), ...bot.parts])

/** A loopback Discord with a few guilds whose members ask for something now and then. */
async function startTrialDiscord() {
  const { startStandin } = await import('@evenkeel-examples/discord-standin')
  const { traffic } = await import('./demo/traffic.js')
  const started = await startStandin({ guilds: 5 })
  console.log('No DISCORD_TOKEN: five guilds of a loopback Discord will be served. Ctrl+C ends it.')
  await started.traffic({ perSecond: 1, mix: traffic({ remindIn: '10s' }) })
  return started
}
