import { RowFinding } from '../../migration/errors.js'
import type { WritableStorage } from '../../migration/ports.js'
import type { Tick } from '../../migration/steps.js'
import type { CallHooks } from '../../migration/watched-storage.js'
import type { Stage, Undisturbed, Way } from './stage.js'

/** How one call of the store fails, while the process lives on. */
export type Failure = 'refused write' | 'lost answer' | 'failed read'

/**
 * One call of the store fails. Either the migration gets over it, and all is as without; or it rejects, and all is so when it is run
 * again.
 */
export async function failCalls<S extends WritableStorage>(
  stage: Stage<S>,
  known: Undisturbed,
  { step, way, failure }: { readonly step: string; readonly way: Way; readonly failure: Failure },
  signal: AbortSignal,
  tick: Tick,
): Promise<string> {
  const calls = failure === 'failed read' ? known[way].reads : known[way].writes
  const expected = way === 'up' ? known.after : known.before
  let rejected = 0
  const played = await stage.each(calls - 1, signal, tick, async (at, trial) => {
    if (way === 'down') await stage.run('up', trial, signal)
    try {
      const failed = await stage.tried(way, trial, signal, { hooks: failing(failure, at) })
      if (failed === undefined) return stage.requireEqual(step, expected, await trial.snapshot(signal))
      rejected++
      await stage.run(way, trial, signal, { isRepeated: true })
      stage.requireEqual(step, expected, await trial.snapshot(signal))
    } catch (error) {
      throw RowFinding.after(`${way} with call ${at + 1} of ${calls} as a ${failure}`, error)
    }
  })
  return `${way}: ${played} times a ${failure}, of which it told ${rejected}`
}

function failing(failure: Failure, at: number): CallHooks {
  let count = 0
  const fail = (): void => {
    if (count++ === at) throw new Error(`a ${failure}, which was rehearsed`)
  }
  if (failure === 'refused write') return { before: ({ isWrite }) => (isWrite ? fail() : undefined) }
  if (failure === 'lost answer') return { after: ({ isWrite }) => (isWrite ? fail() : undefined) }
  return { before: ({ isWrite }) => (isWrite ? undefined : fail()), row: fail }
}
