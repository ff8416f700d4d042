import { REST } from '@discordjs/rest'
import { WebSocketManager } from '@discordjs/ws'
import { SessionHandover, type GatewayDispatch } from '@evenkeel/blue-green/discord'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'

// One process of a bot whose gateway is a WebSocketManager of @discordjs/ws. The next one resumes its session; SIGTERM leaves it to the
// next, and ends. It says what it does, a line each, and answers each command with its version and the number of the run.

const [version = '', api = '', token = '', path = '', workMs = '0'] = process.argv.slice(2)

function say(...words: readonly unknown[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

const storage = new SqliteStorage({ path })
await storage.start()
const rest = new REST({ version: '10', api }).setToken(token)
const work = { beganFirst: false }

const handover = new SessionHandover({
  version,
  handle: async ({ t, d }: GatewayDispatch, { attempt }) => {
    if (t !== 'INTERACTION_CREATE') return
    const interaction = d as { id: string; token: string }
    say('BEGAN', interaction.id, attempt)
    // The first command takes very long, so that it is under way when the session is handed over.
    const isFirst = !work.beganFirst
    work.beganFirst = true
    const delayMs = isFirst ? 2 * Number(workMs) : Number(workMs)
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
    const body = { type: 4, data: { content: `${version} ${attempt}` } }
    await rest.post(`/interactions/${interaction.id}/${interaction.token}/callback`, { body, auth: false })
  },
  onError: (error, { d }) => say('FAILED', (d as { id?: string }).id, String(error)),
  effects: 'keyed', // Discord takes one answer to a command
  store: storage.collection('evenkeel'),
  heartbeatMs: 100,
  // Long enough for a busy machine, on which nobody is to be taken for dead who is not.
  leaseMs: 3_000,
  storeTimeoutMs: 5_000,
  startTimeoutMs: 60_000,
})
handover.on('change', ({ what, to, message }) => say('CHANGE', what, to, message))
handover.on('repeated', ({ eventId, attempt }) => say('REPEATED', eventId, attempt))
handover.on('replaced', () => {
  say('REPLACED')
  void end()
})

const manager = new WebSocketManager({
  token,
  intents: 0,
  rest,
  retrieveSessionInfo: handover.retrieveSessionInfo,
  updateSessionInfo: handover.updateSessionInfo,
  buildIdentifyThrottler: async () => ({ waitForIdentify: async () => {} }),
})
manager.on('error', ({ error }) => say('ERROR', String(error)))
await handover.start(manager)
say('OWNER')
process.once('SIGTERM', () => void end())
// Stopped from outside, it may hold the lock of the database, and then nobody could go on.
process.on('SIGUSR2', () => {
  say('STOPS')
  process.kill(process.pid, 'SIGSTOP')
})

async function end(): Promise<void> {
  const { drained } = await handover.drain()
  const { duplicates } = handover.status
  await handover.stop()
  await storage.stop()
  say('ENDED', drained, duplicates)
}
