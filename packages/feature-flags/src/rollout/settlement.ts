import { evidenceOf, type Life } from './driver-life.js'
import { isOff } from './flag-in-force.js'
import { transitionNews } from './rollout-news.js'
import type { FlagShare } from './rollout-ports.js'
import type { RolloutRecord } from './rollout-record.js'
import { isGoing, isOver } from './transitions.js'
import { isSettled } from './wish.js'

/**
 * What follows a transition: its share is put in force, it is told, and that is written down.
 *
 * @remarks
 * Whoever finds a record of which one of these is missing does it, and each can be done twice: shares carry the sequence of
 * their transition, and so does the news.
 */
export class Settlement {
  readonly #life: Life
  /** The sequence up to which this process has told, from one life to the next. */
  readonly #told: { sequence: number }

  constructor(life: Life, told: { sequence: number }) {
    this.#life = life
    this.#told = told
  }

  /** @returns whether the share is in force */
  async settle(): Promise<boolean> {
    const { journal, hooks, settings, observer } = this.#life
    const { record } = journal
    if (record === undefined || !journal.isMine) return true
    if (!(await this.apply(record))) return false
    // Another share was in force, and the record has moved on with it.
    if (journal.record !== record) return this.settle()
    const from = Math.max(record.told, this.#told.sequence)
    for (const entry of record.history) {
      if (entry.sequence <= from) continue
      this.#told.sequence = entry.sequence
      hooks.tell(transitionNews(settings.flag, entry, record.run.validation))
    }
    if (isSettled(record)) return true
    const isKept = isOver(record.run) && record.evidence !== null
    await journal.told(record, isKept ? observer.keepsake(await evidenceOf(this.#life, record)) : undefined)
    return true
  }

  /** Puts the share of a record in force. @returns whether it is; not, when somebody waits to switch the flag off */
  async apply(record: RolloutRecord): Promise<boolean> {
    const { inForce, switchOff } = this.#life
    if (inForce.has(record.run)) return true
    if (switchOff.isAwaited && !isOff(record.run.share)) return false
    const other = await inForce.put(record)
    if (other !== undefined) await this.#correct(record, other)
    return true
  }

  /** Another share is in force than that of the record. It should be that of a later transition. */
  async #correct({ run }: RolloutRecord, other: FlagShare): Promise<void> {
    const { journal } = this.#life
    const record = await journal.look()
    if (record === undefined || !journal.isMine || record.run.share.sequence !== run.share.sequence) return
    if (isOff(other) && isOff(record.run.share)) return
    if (isOff(other) && isGoing(record.run)) {
      const why = 'a process switched it off, and could not write that down'
      await journal.move({ type: 'ROLL_BACK', isGradual: false, why }, { why, severity: 'CRITICAL' })
    } else {
      await journal.move({ type: 'REASSERT' }, { why: 'a share of a lost record was in force', severity: 'WARNING' })
    }
  }
}
