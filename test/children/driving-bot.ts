import { createInterface } from 'node:readline'
import { BlueGreen } from '@evenkeel/blue-green'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'

// One process of a bot that drives a deployment, beside others on the same SQLite file. Lines on its standard input tell it what to do; it says
// what becomes of it, a line each.

const [name = '', path = ''] = process.argv.slice(2)

function say(...words: readonly unknown[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

const storage = new SqliteStorage({ path })
await storage.start()
const blueGreen = new BlueGreen({
  versions: { v1: () => 'v1', v2: () => 'v2' },
  initial: 'v1',
  context: (guildId: string) => ({ eventId: null, guildId }),
  store: storage.collection('evenkeel'),
  lookMs: 100,
})
blueGreen.on('change', ({ what, to, why }) => say(what.toUpperCase(), to, why))

const orders = createInterface({ input: process.stdin })
orders.on('line', (order) => {
  void (async () => {
    if (order === 'deploy') await blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 600_000 })
    if (order === 'promote') await blueGreen.deployment?.promote().catch(({ code }) => say('REFUSED', code))
    if (order === 'roll back') await blueGreen.rollback({ why: 'users complain' })
    say('DONE', order, await blueGreen.handle('81384788765712384'))
  })()
})
// Whoever gave the orders is gone.
orders.once('close', () => process.exit())
await blueGreen.start()
say('STARTED', name, blueGreen.status.epoch)
