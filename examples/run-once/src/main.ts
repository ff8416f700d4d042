import { MemoryStorage } from '@evenkeel/storage-adapter'
import { Lease, runOnce, Schedule } from '@evenkeel/storage-adapter/lease'

// In one process, so that it runs anywhere. For real, give each process SqliteStorage, PostgresStorage or RedisStorage,
// and leave `scope` out.
const storage = new MemoryStorage()
const store = storage.collection('evenkeel')

// Two copies of the bot want to post the same report. One does, and the other learns that it was done.
const post = (owner: string) =>
  runOnce({
    store,
    scope: 'process',
    owner,
    id: 'report 2026-11-20',
    waitMs: 20_000,
    run: async ({ fence }) => {
      await storage.batch([fence(), { type: 'set', collection: 'reports', key: '2026-11-20', value: `by ${owner}` }])
    },
  })
const [first, second] = await Promise.all([post('bot-1'), post('bot-2')])
console.log(first.status, second.status) // => ran done
console.log(await storage.collection('reports').get('2026-11-20')) // => by bot-1

// Two copies want to lead. One does, until it stops or dies.
const one = new Lease({ store, scope: 'process', name: 'leader', owner: 'bot-1' })
const two = new Lease({ store, scope: 'process', name: 'leader', owner: 'bot-2' })
two.on('acquired', ({ message }) => console.log(message))
await Promise.all([one.start(), two.start()])
console.log(one.isHeld, two.isHeld) // => true false
const old = one.term?.fence()
await one.stop()
await two.acquire({ waitMs: 5_000 })

// What the old leader still has under way is refused by the store itself.
const late = { type: 'set', collection: 'notes', key: 'leader', value: 'bot-1' } as const
const outcome = old && (await storage.batch([old, late]).catch((error: { code: string }) => error.code))
console.log(outcome) // => STORAGE_CONFLICT
await two.stop()

// Both copies have the same schedule. Each due time runs in one of them.
const ticked = storage.collection<number>('ticks')
const tick = {
  everyMs: 100,
  run: ({ dueAt }: { dueAt: number }) => ticked.update(String(dueAt), (n) => n + 1, { initial: 0 }),
}
const schedules = ['bot-1', 'bot-2'].map(
  (owner) => new Schedule({ store, scope: 'process', owner, leaseMs: 300, jobs: { tick } }),
)
for (const schedule of schedules) await schedule.start()
await new Promise((resolve) => setTimeout(resolve, 650))
for (const schedule of schedules) await schedule.stop()
const ticks: number[] = []
for await (const { value } of ticked.scan()) ticks.push(value)
const isOnceEach = ticks.every((runs) => runs === 1)
console.log(ticks.length > 1, isOnceEach) // => true true
await storage.stop()
