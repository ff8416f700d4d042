import { setTimeout as sleep } from 'node:timers/promises'
import { FailoverStorage, MemoryStorage } from '@evenkeel/storage-adapter'
import { FaultyStorage } from '@evenkeel/testing'

// A database that can be switched off, and a bot's storage that does not mind.
const database = new MemoryStorage()
const faulty = new FaultyStorage(database)
const storage = new FailoverStorage({
  primary: faulty.storage,
  path: 'data/failover',
  writers: 'one',
  probeIntervalMs: 20,
  cooldownMs: 0,
})
storage.on('change', ({ message }) => console.log(message))
const notes = storage.collection<{ text: string }>('notes')

console.log((await notes.set('7:1', { text: 'tea' })).kept) // => primary
while (storage.state.mirror.status !== 'fresh') await sleep(5)

faulty.down()
console.log((await notes.set('7:2', { text: 'milk' })).kept) // => journal
console.log((await notes.get('7:1'))?.text) // => tea
console.log(await database.collection('notes').get('7:2')) // => undefined

faulty.up()
while (storage.state.on === 'fallback') await sleep(10)
console.log(await database.collection('notes').get('7:2')) // => { text: 'milk' }
await storage.stop()
