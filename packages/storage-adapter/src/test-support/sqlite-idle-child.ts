import { SqliteStorage } from '../sqlite.js'

/** Writes by a worker thread, and then forgets to stop the storage. */
const [path = '', workerFile = ''] = process.argv.slice(2)

async function main(): Promise<void> {
  const storage = new SqliteStorage({ path, worker: true }, { workerFile })
  await storage.collection('notes').set('idle', true)
  console.log('written')
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
