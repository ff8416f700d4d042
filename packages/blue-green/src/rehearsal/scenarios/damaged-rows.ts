import { RowFinding } from '../../migration/errors.js'
import type { WritableStorage } from '../../migration/ports.js'
import { compare, hasExpired, type Snapshot } from '../../migration/snapshot.js'
import type { Tick } from '../../migration/steps.js'
import { systemClock } from '../../system-clock.js'
import type { Stage, Undisturbed } from './stage.js'

/** What a row may have become: by a bug of years ago, by hand, by half a write. */
const damages: Readonly<Record<string, (value: unknown) => unknown>> = {
  null: () => null,
  'an empty object': () => ({}),
  'a text': (value) => JSON.stringify(value).slice(0, 40),
  'half of its fields': (value) =>
    Object.fromEntries(Object.entries(Object(value) as object).filter((_, i) => i % 2 === 1)),
  'fields of other types': (value) =>
    Object.fromEntries(Object.keys(Object(value) as object).map((name, i) => [name, i % 2 === 0 ? 7 : { a: [] }])),
}

/** So many rows are damaged, one after the other. */
const maxRows = 10

/**
 * One row is damaged beforehand. `up` may refuse it, or get along with it; but `down` brings back all that was before, the damaged row
 * too: whoever repairs it needs it as it was. Without a `down`, a migration that refuses a row must not have lost another one.
 */
export async function damageRows<S extends WritableStorage>(
  stage: Stage<S>,
  step: string,
  known: Undisturbed,
  signal: AbortSignal,
  tick: Tick,
): Promise<string> {
  const rows = rowsToDamage(known)
  const faults = rows.flatMap((row) => Object.entries(damages).map(([what, damage]) => ({ ...row, what, damage })))
  let refused = 0
  const played = await stage.each(faults.length - 1, signal, tick, async (at, trial) => {
    const { collection, key, what, damage } = faults[at]!
    const rowsOf = trial.copy.collection(collection)
    const value = await rowsOf.get(key)
    // It has expired meanwhile.
    if (value === undefined) return
    await rowsOf.set(key, damage(value))
    const before = await trial.snapshot(signal)
    try {
      if ((await stage.tried('up', trial, signal)) !== undefined) refused++
      if (!known.hasDown) return requireNoneLost(before, await trial.snapshot(signal), known)
      await stage.run('down', trial, signal)
      stage.requireEqual(step, before, await trial.snapshot(signal))
    } catch (error) {
      throw RowFinding.after((nameOf) => `${collection}/${nameOf(key)} as ${what}`, error)
    }
  })
  const end = known.hasDown ? 'each rolled back, the damaged row too' : 'no other row lost'
  return `${played} damages, of which up refused ${refused}; ${end}`
}

/** Those that `up` touches; where it touches none, the first of each collection. */
function rowsToDamage({ before, after }: Undisturbed): { collection: string; key: string }[] {
  const { first } = compare(before, after, systemClock.now())
  const touched = first.filter(({ what }) => what !== 'added')
  if (touched.length > 0) return touched.slice(0, maxRows)
  return [...before]
    .flatMap(([collection, rows]) => [...rows.keys()].slice(0, 1).map((key) => ({ collection, key })))
    .slice(0, maxRows)
}

/** Of those that `up` leaves by right. */
function requireNoneLost(before: Snapshot, found: Snapshot, { after }: Undisturbed): void {
  const now = systemClock.now()
  for (const [collection, rows] of before) {
    for (const key of rows.keys()) {
      const left = after.get(collection)?.get(key)
      if (left === undefined || hasExpired(left, now) || found.get(collection)?.has(key) === true) continue
      throw new RowFinding((nameOf) => `${collection}/${nameOf(key)} is lost`)
    }
  }
}
