import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import type { PlatformEvent } from './messages.js'
import { Session } from './session.js'

// A bot that takes over from another process of itself, with a session of its own on the same token.

const [port, database = '', version = ''] = process.argv.slice(2)
const storage = new SqliteStorage({ path: database })
await storage.start()
const restart = new GaplessRestart<PlatformEvent, void>({
  version,
  handle: (event) => session.handle(event),
  context: ({ id, guildId }) => ({ eventId: id, guildId }),
  effects: 'keyed',
  store: storage.collection('evenkeel'),
})
process.on('message', (order: 'take over') => void takeOver(order))
process.on('SIGTERM', () => void end())

await restart.start()
const session = new Session(Number(port), [0, 1])
session.on('event', (event) => void restart.handle(event).catch(console.error))
await session.ready
const isRefused = await restart.takeOver().then(() => false, isBeaten)
process.send?.({ isRefused })

/** Another one took over at the same time: that one serves, and this one stands by. */
function isBeaten(error: unknown): boolean {
  if ((error as { code?: string }).code === 'NOT_TAKEN_OVER') return true
  throw error as Error
}

async function takeOver(why: string): Promise<void> {
  const atNs = String(process.hrtime.bigint())
  await restart.takeOver({ why })
  process.send?.({ atNs })
}

async function end(): Promise<void> {
  await restart.drain()
  await restart.stop()
  await session.close()
  await storage.stop()
  process.exit()
}
