import { SqliteStorage } from '../sqlite.js'

/** Gives all the keys one new number, in one batch, again and again. */
const [path = '', times = '0', keys = '0'] = process.argv.slice(2)

async function main(): Promise<void> {
  const storage = new SqliteStorage({ path })
  const numbers = storage.collection<number>('numbers')
  for (let round = 1; round <= Number(times); round++) {
    await numbers.setMany(Array.from({ length: Number(keys) }, (_, i) => [`k${i}`, round] as const))
  }
  await storage.stop()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
