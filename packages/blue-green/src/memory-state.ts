import type { StateStore } from './ports.js'

/**
 * A store that forgets with the process: for a first try, for tests, and where a restart may begin anew.
 *
 * @remarks
 * *Gotchas*: after a restart nothing is known of a deployment, of the version that was active, or of those that were
 * rolled back: `initial` serves again. Use a collection of `@evenkeel/storage-adapter` to survive one.
 *
 * @example
 * ```ts
 * import { memoryState } from '@evenkeel/blue-green'
 *
 * const store = memoryState()
 * const first = await store.compareAndSet('key', undefined, { text: 'tea' })
 * console.log(await store.compareAndSet('key', undefined, { text: 'late' })) // => undefined
 * console.log((await store.entry('key'))?.version === first?.version) // => true
 * ```
 */
export function memoryState(): StateStore {
  const entries = new Map<string, { value: unknown; version: string }>()
  let writes = 0
  return {
    scope: 'process',
    async entry(key) {
      const found = entries.get(key)
      return found && { value: structuredClone(found.value), version: found.version }
    },
    async compareAndSet(key, expected, value) {
      if (entries.get(key)?.version !== expected) return undefined
      writes += 1
      const version = String(writes)
      entries.set(key, { value: structuredClone(value), version })
      return { version }
    },
  }
}
