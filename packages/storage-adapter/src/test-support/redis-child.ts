import { RedisStorage } from '../redis.js'

/**
 * One of several processes over one Redis: adds one to a number as often as it is told, then claims as many seats as it
 * can get, and tells how many it got.
 */
const [url = '', prefix = '', times = '0'] = process.argv.slice(2)

async function main(): Promise<void> {
  const storage = new RedisStorage({ url, prefix })
  const numbers = storage.collection<number>('numbers')
  for (let i = 0; i < Number(times); i++) await numbers.update('n', (n) => n + 1, { initial: 0 })
  let seats = 0
  for (let i = 0; i < Number(times); i++) {
    if ((await storage.collection('seats').compareAndSet(`${i}`, undefined, process.pid)) !== undefined) seats++
  }
  await storage.stop()
  console.log(seats)
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
