import { SqliteStorage } from '../sqlite.js'

/** Writes numbers one after another, each to a key of its own, and removes every tenth. */
const [path = '', name = '', times = '0'] = process.argv.slice(2)

async function main(): Promise<void> {
  const storage = new SqliteStorage({ path })
  const numbers = storage.collection<number>('numbers')
  for (let i = 0; i < Number(times); i++) {
    await numbers.set(`${name}:${i}`, i)
    if (i % 10 === 0) await numbers.delete(`${name}:${i}`)
  }
  await storage.stop()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
