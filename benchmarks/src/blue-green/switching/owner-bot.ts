import { BlueGreen } from '@evenkeel/blue-green'
import { childProcessSlot, workerThreadSlot, type Slot } from '@evenkeel/blue-green/workers'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import type { PlatformEvent } from './messages.js'
import { runManager } from './run-manager.js'
import { Session } from './session.js'

// A bot whose one session stays, while its versions are functions here, child processes or threads.

const [port = '', database = '', kind = '', entry = '', ending = ''] = process.argv.slice(2)
const storage = new SqliteStorage({ path: database })
await storage.start()
const session = new Session(Number(port), [0, 1])
const options = { entry, args: [port], effects: 'keyed' } as const
type Version = Slot<PlatformEvent, void> | ((event: PlatformEvent) => Promise<void>)
const kinds: Record<string, () => Version> = {
  function: () => (event) => session.handle(event),
  process: () => childProcessSlot(options),
  thread: () => workerThreadSlot(options),
}
const make = kinds[kind]
if (make === undefined) throw new Error(`There is no kind "${kind}"`)
const blueGreen = new BlueGreen({
  versions: { v1: make(), v2: make() },
  initial: 'v1',
  context: ({ id, guildId }) => ({ eventId: id, guildId }),
  store: storage.collection('evenkeel'),
})
await runManager(
  async () => {
    await blueGreen.start()
    session.on('event', (event) => void blueGreen.handle(event).catch(console.error))
    await session.ready
  },
  async () => {
    const deployment = await blueGreen.deploy('v2', {
      percentages: [1, 10, 50, 100],
      stepMs: 150,
      advance: 'time',
      minEvents: 0,
    })
    if (ending === 'rolls back') {
      while (deployment.status.percentage < 50) await new Promise((resolve) => setTimeout(resolve, 10))
      await deployment.rollback({ why: 'a benchmark' })
    }
    await deployment.finished
  },
)
