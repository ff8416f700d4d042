import { messageOf } from '../../bounded.js'
import { RowFinding } from '../../migration/errors.js'
import type { WritableStorage } from '../../migration/ports.js'
import type { Difference, RowMark, Snapshot } from '../../migration/snapshot.js'
import { hasExpired, maxNamed } from '../../migration/snapshot.js'
import type { StorageTrial } from '../../migration/storage-bench.js'
import type { CallHooks, StoreCall } from '../../migration/watched-storage.js'
import { systemClock } from '../../system-clock.js'
import type { Stage, Undisturbed, Way } from './stage.js'

/** What the bot may write in place of a row, in the shape that the old version knows; `undefined` for nothing. It may be async. */
export type Rewrite = (row: { readonly collection: string; readonly key: string; readonly value: unknown }) => unknown

/** What the bot writes, and has written. */
interface Bot {
  readonly rewrite: Rewrite
  readonly written: Written[]
  /** The first write that could not be made, which is no fault of the migration. */
  failure?: Error
}

interface Written {
  readonly collection: string
  readonly key: string
  readonly value: unknown
}

/**
 * The old version serves while the migration runs, and writes each row at the worst moment: just before the migration does so. No
 * such write may be lost. In the end each row must be as if the bot had written it before the migration, or after it.
 */
export async function writeMeanwhile<S extends WritableStorage>(
  stage: Stage<S>,
  known: Undisturbed,
  { step, way, rewrite }: { readonly step: string; readonly way: Way; readonly rewrite: Rewrite | undefined },
  signal: AbortSignal,
): Promise<string> {
  const written: Written[] = []
  const found = await stage.play(signal, async (trial) => {
    const writes = rewrite === undefined ? await neighbours(trial) : rewrite
    if (way === 'down') await stage.run('up', trial, signal)
    const bot: Bot = { rewrite: writes, written }
    const failed = await stage.tried(way, trial, signal, { hooks: intruding(trial, known.before, bot) })
    // Not a thing that the migration could have noticed.
    if (bot.failure !== undefined) throw bot.failure
    // It noticed, which is fine; a deployment would begin anew.
    if (failed !== undefined) await stage.run(way, trial, signal, { isRepeated: true })
    return trial.snapshot(signal)
  })
  if (written.length === 0) return `${way} writes no row that the bot has`
  const inTurn = (isFirst: boolean): Promise<Snapshot> =>
    stage.play(signal, async (trial) => {
      if (way === 'down') await stage.run('up', trial, signal)
      if (isFirst) await writeAll(trial, written)
      await stage.run(way, trial, signal)
      if (!isFirst) await writeAll(trial, written)
      return trial.snapshot(signal)
    })
  const lost = neither(found, await inTurn(true), await inTurn(false))
  if (lost.length === 0) return `${way}: none of ${written.length} writes of the bot is lost`
  stage.differences[step] = lost.slice(0, maxNamed)
  throw new RowFinding((nameOf) => {
    const names = lost.slice(0, 5).map(({ collection, key }) => `${collection}/${nameOf(key)}`)
    return (
      `${way}: of ${written.length} writes of the bot, made just before those of ${way}, ${lost.length} ended neither as if made ` +
      `before nor after it: ${names.join(', ')}; read and write a row in one step (update, or a set with ifVersion)`
    )
  })
}

/** Writes each row once, before the migration writes it. */
function intruding<S extends WritableStorage>(trial: StorageTrial<S>, before: Snapshot, bot: Bot): CallHooks {
  const done = new Set<string>()
  const intrude = async (targets: readonly Omit<Written, 'value'>[]): Promise<void> => {
    for (const { collection, key } of targets) {
      try {
        const rows = trial.copy.collection(collection)
        const value = await bot.rewrite({ collection, key, value: await rows.get(key) })
        if (value === undefined) continue
        await rows.set(key, value)
        bot.written.push({ collection, key, value })
      } catch (error) {
        bot.failure ??= new RowFinding(
          (nameOf) =>
            `the bot could not write ${collection}/${nameOf(key)}: ${messageOf(error)}; give in rewrite a JSON value, or undefined for nothing`,
          { cause: error },
        )
      }
    }
  }
  return {
    before: (call) => {
      const targets = targetsOf(call).filter(({ collection, key }) => {
        const name = JSON.stringify([collection, key])
        if (done.has(name) || before.get(collection)?.has(key) !== true) return false
        done.add(name)
        return true
      })
      return targets.length === 0 ? undefined : intrude(targets)
    },
  }
}

/** Which rows a call writes, as far as it says so. */
function targetsOf({ isWrite, method, collection, args }: StoreCall): { collection: string; key: string }[] {
  const [first] = args
  if (!isWrite) return []
  if (method === 'batch') {
    return (Array.isArray(first) ? (first as Record<string, unknown>[]) : []).flatMap((operation) =>
      operation['type'] === 'set' || operation['type'] === 'delete'
        ? [{ collection: String(operation['collection']), key: String(operation['key']) }]
        : [],
    )
  }
  if (collection === undefined) return []
  // Anything else that can be gone through might be gone through only once.
  const entries = Array.isArray(first) ? (first as [unknown][]) : first instanceof Map ? [...first] : []
  if (method === 'setMany') return entries.map(([key]) => ({ collection, key: String(key) }))
  return typeof first === 'string' ? [{ collection, key: first }] : []
}

/**
 * Without anybody who knows the bot, it writes what stands in the next row of the collection, and in the last one what stands in the
 * first: that has the right shape.
 */
async function neighbours<S extends WritableStorage>(trial: StorageTrial<S>): Promise<Rewrite> {
  const next = new Map<string, unknown>()
  for (const collection of await trial.copy.collections()) {
    const rows: { key: string; value: unknown }[] = []
    for await (const { key, value } of trial.copy.collection(collection).scan()) rows.push({ key, value })
    if (rows.length < 2) continue
    for (const [i, { key }] of rows.entries()) {
      next.set(JSON.stringify([collection, key]), rows[(i + 1) % rows.length]!.value)
    }
  }
  return ({ collection, key }) => next.get(JSON.stringify([collection, key]))
}

async function writeAll<S extends WritableStorage>(trial: StorageTrial<S>, written: readonly Written[]): Promise<void> {
  for (const { collection, key, value } of written) await trial.copy.collection(collection).set(key, value)
}

/** Rows that are neither as in the one nor as in the other. What has expired by now may be in any of them. */
function neither(found: Snapshot, one: Snapshot, other: Snapshot): Difference[] {
  const none: ReadonlyMap<string, RowMark> = new Map()
  const differences: Difference[] = []
  const now = systemClock.now()
  const hashOf = (mark: RowMark | undefined): string | undefined =>
    mark === undefined || hasExpired(mark, now) ? undefined : mark.hash
  for (const collection of [...new Set([found, one, other].flatMap((each) => [...each.keys()]))].sort()) {
    const [rows, ...orders] = [found, one, other].map((each) => each.get(collection) ?? none)
    for (const key of new Set([rows!, ...orders].flatMap((each) => [...each.keys()]))) {
      const hash = hashOf(rows!.get(key))
      const inOrder = orders.map((each) => hashOf(each.get(key)))
      if (inOrder.includes(hash)) continue
      const what = hash === undefined ? 'removed' : inOrder.every((each) => each === undefined) ? 'added' : 'changed'
      differences.push({ collection, key, what })
    }
  }
  return differences
}
