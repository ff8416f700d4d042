import type { HealthCheck } from '../check-result.js'

/** What a storage says of itself. */
export interface StorageHealth {
  /** `degraded` when it serves, but not as it should. */
  readonly status: 'up' | 'degraded' | 'down'
  /** Why, for people. */
  readonly reason: string
}

/** A storage as {@link storageCheck} needs it; every storage of `@evenkeel/storage-adapter` is one. */
export interface CheckableStorage {
  /** How the storage is, asked afresh. Rejects when it cannot be reached. */
  health(options?: { signal?: AbortSignal }): Promise<StorageHealth>
}

/**
 * Asks a storage how it is. A storage that runs on its fallback is `degraded`; one that cannot be reached is `down`.
 *
 * @param storage - anything with a `health` method of this shape
 * @returns the check
 * @throws TypeError when there is no such method
 *
 * @example
 * ```ts
 * import { HealthMonitor, storageCheck } from '@evenkeel/health-monitor'
 *
 * const storage = { health: async () => ({ status: 'degraded' as const, reason: 'running on the local copy' }) }
 * const health = new HealthMonitor({ checks: { database: { check: storageCheck(storage) } } })
 * await health.checkNow()
 * console.log(health.components.get('database')?.reason) // => running on the local copy
 * ```
 */
export function storageCheck(storage: CheckableStorage): HealthCheck {
  if (typeof (storage as Partial<CheckableStorage> | undefined)?.health !== 'function') {
    throw new TypeError('storageCheck: give a storage with a health() method')
  }
  return (signal) => storage.health({ signal })
}
