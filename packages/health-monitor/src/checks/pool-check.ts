import type { HealthCheck } from '../check-result.js'
import { resolveOptions } from './check-options.js'
import { count, percent } from './figures.js'
import { above, together, type Verdict } from './verdict.js'

/** How {@link poolCheck} judges. */
export interface PoolCheckOptions {
  /**
   * How many callers, from 0, may wait for a connection before it is `degraded`.
   *
   * @defaultValue 0
   */
  readonly degradedWaiting?: number
  /**
   * How many callers, from 0, may wait for a connection before it is `down`; `Infinity` for never.
   *
   * @defaultValue 20
   */
  readonly downWaiting?: number
  /**
   * The share of the connections that the pool may have, 0 to 1, above which it is `degraded` when so many are in use;
   * only where the pool tells how many it may have.
   *
   * @defaultValue 0.9
   */
  readonly degradedRatio?: number
}

/** What {@link poolCheck} uses when its options leave it open. */
export const poolCheckDefaults: Required<PoolCheckOptions> = { degradedWaiting: 0, downWaiting: 20, degradedRatio: 0.9 }

/** A pool of connections as {@link poolCheck} needs it; the `Pool` of pg is one. */
export interface CheckablePool {
  /** How many connections there are. */
  readonly totalCount: number
  /** How many of them nobody uses. */
  readonly idleCount: number
  /** How many callers wait for one. */
  readonly waitingCount: number
  /** How the pool was made, if it says so. */
  readonly options?: {
    /** How many connections there may be. */
    readonly max?: number | undefined
  }
}

/** A storage with a pool inside; `PostgresStorage` of `@evenkeel/storage-adapter` is one. */
export interface PooledStorage {
  /** Its figures, `pool.size`, `pool.idle` and `pool.waiting` among the gauges. */
  metrics(): {
    /** Figures by name. */
    readonly gauges: Readonly<Record<string, number>>
  }
}

interface Figures {
  readonly size: number
  readonly idle: number
  readonly waiting: number
  readonly max: number | undefined
}

/**
 * Looks whether callers wait for a connection of a pool, and whether nearly all of its connections are in use.
 *
 * @param pool - the pool of pg, or a storage that has one inside
 * @param options - the limits
 * @returns the check
 * @throws TypeError when it is neither, or an option does not exist or is no number
 * @throws RangeError when a limit is out of range
 *
 * @example
 * ```ts
 * import { HealthMonitor, poolCheck } from '@evenkeel/health-monitor'
 *
 * // With pg: const pool = new Pool()
 * const pool = { totalCount: 10, idleCount: 0, waitingCount: 3, options: { max: 10 } }
 * const health = new HealthMonitor({ checks: { pool: { check: poolCheck(pool) } } })
 * console.log((await health.check('pool')).reason.split(';')[0]) // => 3 callers wait for a connection, above 0
 * ```
 */
export function poolCheck(pool: CheckablePool | PooledStorage, options: PoolCheckOptions = {}): HealthCheck {
  const isStorage = typeof (pool as Partial<PooledStorage> | undefined)?.metrics === 'function'
  if (!isStorage && typeof (pool as Partial<CheckablePool> | undefined)?.waitingCount !== 'number') {
    throw new TypeError(
      'poolCheck: give a pool with totalCount, idleCount and waitingCount, or a storage with metrics()',
    )
  }
  const limits = resolveOptions('poolCheck', options, poolCheckDefaults)
  return () => judge(readFigures(pool), limits)
}

function readFigures(pool: CheckablePool | PooledStorage): Figures {
  if (!('metrics' in pool)) {
    const { totalCount, idleCount, waitingCount, options } = pool
    return { size: totalCount, idle: idleCount, waiting: waitingCount, max: options?.max }
  }
  const { gauges } = pool.metrics()
  const { 'pool.size': size, 'pool.idle': idle, 'pool.waiting': waiting, 'pool.max': max } = gauges
  if (size !== undefined && idle !== undefined && waiting !== undefined) return { size, idle, waiting, max }
  throw new TypeError('poolCheck: this storage has no pool; use storageCheck')
}

function judge({ size, idle, waiting, max }: Figures, limits: Required<PoolCheckOptions>): Verdict {
  const used = size - idle
  const callers = waiting === 1 ? '1 caller waits' : `${waiting === 0 ? 'no' : count(waiting)} callers wait`
  const byWaiting = above(
    waiting,
    { degraded: limits.degradedWaiting, down: limits.downWaiting },
    `${callers} for a connection`,
    count,
  )
  if (max === undefined || !(max > 0)) {
    return together([byWaiting, { status: 'up', reason: `${count(used)} of ${count(size)} connections are in use` }])
  }
  const inUse = `${count(used)} of at most ${count(max)} connections are in use (${percent(used / max)})`
  return together([byWaiting, above(used / max, { degraded: limits.degradedRatio, down: Infinity }, inUse, percent)])
}
