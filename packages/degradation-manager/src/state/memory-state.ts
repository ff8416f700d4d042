import type { StateStore } from '../ports.js'

/**
 * A store that forgets with the process: for tests, and for several managers in one process.
 *
 * @remarks
 * *Gotchas*: after a restart a mode that was set by hand is forgotten. Use a collection of `@evenkeel/storage-adapter` to
 * keep it.
 *
 * @example
 * ```ts
 * import { DegradationManager, memoryState } from '@evenkeel/degradation-manager'
 *
 * const options = { features: { remind: {} }, store: memoryState(), scope: 'process' } as const
 * const [one, other] = [new DegradationManager(options), new DegradationManager(options)]
 * await one.setMode('MAINTENANCE', { why: 'moving hosts' })
 * await other.start()
 * console.log(other.mode) // => MAINTENANCE
 * await other.stop()
 * ```
 */
export function memoryState(): StateStore {
  const entries = new Map<string, { readonly value: unknown; readonly version: string }>()
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
