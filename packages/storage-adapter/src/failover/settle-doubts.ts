import type { Mutation } from '../backend.js'
import type { Gate } from './gate.js'
import type { KeyQueue } from '../key-queue.js'
import { idOf } from './local-doubts.js'
import type { LocalStore } from './local-store.js'
import type { Primary } from './primary.js'
import { readAsChanges } from './primary-records.js'
import type { WriterMark } from './writer-mark.js'

/** So many doubts are settled at a time. */
const PORTION = 250

/** What settling works with. */
export interface SettleDoubtsParts {
  readonly primary: Primary
  readonly local: LocalStore
  readonly mark: WriterMark
  readonly gate: Gate
  readonly locks: KeyQueue
  readonly isWanted: () => boolean
  readonly now: () => number
  readonly onChanged: (changes: readonly Mutation[]) => void
}

/**
 * Finds out what became of the writes whose outcome is not known. After the fence none of them can arrive any more, so
 * what the primary has then is what stays.
 */
export async function settleDoubts(parts: SettleDoubtsParts): Promise<void> {
  const { primary, local, mark, gate, locks, isWanted, now, onChanged } = parts
  if (local.doubts.size === 0) return
  const doubts = await gate.exclusive(async () => {
    await mark.fence()
    return local.doubts.all
  })
  for (let start = 0; start < doubts.length; start += PORTION) {
    const portion = doubts.slice(start, start + PORTION)
    await gate.shared(() =>
      locks.run(portion.map(idOf), async () => {
        if (!isWanted()) throw new Error('the primary went while doubts were settled')
        const found = await readAsChanges(primary, portion, now())
        await local.adopt(found, portion, now())
        onChanged(found)
      }),
    )
  }
}
