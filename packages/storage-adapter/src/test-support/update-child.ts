import { SqliteStorage } from '../sqlite.js'

/** Adds one to a number as often as it is told, while another process does the same. */
const [path = '', times = '0'] = process.argv.slice(2)

async function main(): Promise<void> {
  const storage = new SqliteStorage({ path })
  const numbers = storage.collection<number>('numbers')
  for (let i = 0; i < Number(times); i++) await numbers.update('n', (n) => n + 1, { initial: 0 })
  await storage.stop()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
