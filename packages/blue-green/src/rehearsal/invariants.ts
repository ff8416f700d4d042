import { messageOf } from '../bounded.js'
import type { WritableStorage } from '../migration/ports.js'
import type { StorageTrial } from '../migration/storage-bench.js'

/** When an invariant is looked at. */
export type InvariantStage = 'before' | 'after up' | 'after down'

/** What must be true of the data. It fails when it throws, rejects, or returns `false`. */
export type Invariant<S> = (storage: S, stage: InvariantStage) => unknown

/** @throws Error that names those that do not hold */
export async function requireInvariants<S extends WritableStorage>(
  invariants: Readonly<Record<string, Invariant<S>>>,
  trial: StorageTrial<S>,
  stage: InvariantStage,
): Promise<void> {
  const broken: string[] = []
  for (const [name, holds] of Object.entries(invariants)) {
    try {
      if ((await holds(trial.copy, stage)) === false) broken.push(name)
    } catch (error) {
      broken.push(`${name} (${messageOf(error)})`)
    }
  }
  if (broken.length > 0) throw new Error(`${stage}: ${broken.join(', ')}`)
}
