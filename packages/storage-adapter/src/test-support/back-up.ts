import type { FakeClock } from '@evenkeel/testing'
import { MemoryStorage } from '../memory-storage.js'
import type { BatchOperation, Storage } from '../storage.js'

/** What a backup of the storage would hold, as a storage of its own. */
export async function backUp(storage: Storage, clock: FakeClock): Promise<MemoryStorage> {
  const copy = new MemoryStorage({ clock })
  for (const collection of ['$failover', '$once', ...(await storage.collections())]) {
    const operations: BatchOperation[] = []
    for await (const { key, value, version, expiresAt } of storage.collection(collection).scan()) {
      operations.push({ type: 'set', collection, key, value, version, expiresAt })
    }
    await copy.batch(operations)
  }
  return copy
}
