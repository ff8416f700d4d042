import { discordChannel } from '@evenkeel/alerts'
import { logAll, runUntilSignal } from '@evenkeel/health-monitor/lifecycle'
import { createBot } from './bot.js'
import { processOf } from './slots.js'
import { startTranslationService } from './translation-service.js'
import type { VersionName } from './versions.js'

// With a token this is a real bot; without one it talks to a stand-in for Discord on this machine.
const { DISCORD_TOKEN, DISCORD_API, DATA_DIRECTORY = 'data', STORAGE_URL, TRANSLATE_URL } = process.env
const { ALERT_WEBHOOK, HEALTH_PORT, HEALTH_TOKEN, LIVE_PORT } = process.env
const trial = DISCORD_TOKEN === undefined ? await startTrialDiscord() : undefined
const translation = TRANSLATE_URL === undefined ? await startTranslationService() : undefined
const api = trial?.api ?? DISCORD_API

const bot = await createBot({
  token: DISCORD_TOKEN ?? trial?.token ?? '',
  ...(api === undefined ? {} : { api }),
  dataDirectory: DATA_DIRECTORY,
  ...(STORAGE_URL === undefined ? {} : { storageUrl: STORAGE_URL }),
  translateUrl: TRANSLATE_URL ?? translation?.url ?? '',
  ...(ALERT_WEBHOOK === undefined ? {} : { alertChannels: { ops: discordChannel({ url: ALERT_WEBHOOK }) } }),
  ...(HEALTH_PORT === undefined ? {} : { healthPort: Number(HEALTH_PORT) }),
  ...(HEALTH_TOKEN === undefined ? {} : { healthToken: HEALTH_TOKEN }),
  ...(LIVE_PORT === undefined ? {} : { livePort: Number(LIVE_PORT) }),
})
const rollouts = Object.values(bot.rollouts)
logAll(console, bot.storage, bot.flags, bot.health, bot.modes, bot.blueGreen, bot.alerts, ...rollouts)

const place = bot.database.path === undefined ? '' : `, in ${bot.database.path}`
const announcement = {
  start: async () => {
    const { active } = bot.blueGreen.status
    const speaker = bot.versions[active as VersionName]
    console.log(`${active} speaks from process ${await processOf(speaker)}.`)
    console.log(`Serving. Reminders are kept in ${bot.database.kind}${place}.`)
  },
}
const services = [trial, translation].filter((service) => service !== undefined)
await runUntilSignal([...services, ...bot.parts, ...rollouts, announcement])

/** A loopback Discord with a few guilds whose members ask for something now and then. */
async function startTrialDiscord() {
  const { startStandin } = await import('@evenkeel-examples/discord-standin')
  const { calmTraffic } = await import('./demo/traffic.js')
  const standin = await startStandin({ guilds: 5 })
  console.log('No DISCORD_TOKEN: five guilds of a loopback Discord will be served. Ctrl+C ends it.')
  await standin.traffic({ perSecond: 1, mix: calmTraffic('10s') })
  return { token: standin.token, api: standin.api, stop: () => standin.stop() }
}
