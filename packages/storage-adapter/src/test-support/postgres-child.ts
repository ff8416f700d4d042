import { PostgresStorage } from '../postgres.js'

/** Adds one to a number as often as it is told, while another process does the same. */
const [url = '', schema = '', times = '0', end = 'stop'] = process.argv.slice(2)

async function main(): Promise<void> {
  const storage = new PostgresStorage({ url, schema })
  const numbers = storage.collection<number>('numbers')
  for (let i = 0; i < Number(times); i++) await numbers.update('n', (n) => n + 1, { initial: 0 })
  // Else it must end by itself: what nobody waits for keeps no process alive.
  if (end === 'stop') await storage.stop()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
