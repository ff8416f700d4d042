import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ReadableStorage, WritableStorage } from '../migration/ports.js'
import { untilAborted } from './until-aborted.js'

/** After so many rows, others get their turn: a store in memory answers without ever giving them one. */
const rowsPerTurn = 100

/** A store whose reads end when a signal is aborted, although the store hangs. */
export function readsWithin(storage: ReadableStorage, signal: AbortSignal): ReadableStorage {
  return {
    collections: () => untilAborted(storage.collections(), signal),
    collection: (name) => {
      const collection = storage.collection(name)
      return {
        get: (key) => untilAborted(collection.get(key), signal),
        scan: () => iterateWithin(collection.scan(), signal),
      }
    },
  }
}

/** A store that ends when a signal is aborted, although it hangs. */
export function storageWithin(storage: WritableStorage, signal: AbortSignal): WritableStorage {
  const reads = readsWithin(storage, signal)
  return {
    collections: () => reads.collections(),
    collection: (name) => {
      const collection = storage.collection(name)
      return {
        ...reads.collection(name),
        set: (key, value) => untilAborted(collection.set(key, value), signal),
        delete: (key) => untilAborted(collection.delete(key), signal),
      }
    },
    batch: (operations) => untilAborted(storage.batch(operations), signal),
    stop: () => untilAborted(storage.stop?.(), signal),
  }
}

async function* iterateWithin<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  let [count, isDone] = [0, false]
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), signal)
      isDone = next.done === true
      if (next.done === true) return
      yield next.value
      if (++count % rowsPerTurn === 0) await nextTurn()
    }
  } finally {
    // It hears that it is wanted no more. Where it hangs, that is not waited for.
    if (!isDone) await untilAborted(iterator.return?.(), signal).catch(() => undefined)
  }
}
