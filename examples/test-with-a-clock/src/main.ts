import { MemoryStorage } from '@evenkeel/storage-adapter'
import { FakeClock } from '@evenkeel/testing'

// A cooldown of an hour. The clock is handed in, so nobody has to wait for it.
const clock = new FakeClock()
const cooldowns = new MemoryStorage({ clock }).collection<boolean>('cooldowns')

async function mayAsk(userId: string): Promise<boolean> {
  try {
    await cooldowns.set(userId, true, { ifAbsent: true, ttlMs: 3_600_000 })
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code === 'STORAGE_CONFLICT') return false
    throw error
  }
}

console.log(await mayAsk('53908099506183680')) // => true
console.log(await mayAsk('53908099506183680')) // => false
await clock.advance(3_600_000)
console.log(await mayAsk('53908099506183680')) // => true
