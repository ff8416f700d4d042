import { workerSlotDefaults } from '@evenkeel/blue-green/workers'
import { ownerOf, type Fact } from './facts.js'
import { leaseMs } from './work.js'

/** What was done to a process, or what it did to itself. */
export interface Blow {
  /** It was killed or broke; or it stood still, and went on. */
  readonly how: 'ended' | 'frozen'
  /** Epoch ms. */
  readonly at: number
  /** When one that was frozen went on. */
  untilAt?: number
}

/**
 * Why what a process had begun may run once more elsewhere, or never be answered. `kill`: it ended. `freeze`: it was frozen for so long that the
 * others went on without it. `stood still`: the others went on without it although nothing was done to it, as a machine can be too busy for a sign of life.
 * `outage`: a process that owns the events went on without the store, and has told so.
 */
export type Cause = 'kill' | 'freeze' | 'stood still' | 'outage'

/** What is known of the processes. */
export interface Lives {
  /** Oldest first. */
  blows(by: string): readonly Blow[]
  /** When a process said that the others had counted it out. */
  outAt(by: string): readonly number[]
  /** When it said that the store did not answer. */
  storeOutAt(by: string): readonly number[]
}

/** What of a run a cause is looked for. */
export type Begun = Pick<Fact, 'by' | 'at'>

/**
 * What befell the process of a run, or the owner of that process, since it had begun.
 *
 * @param untilAt - epoch ms: what came later is no cause
 * @param told - what was told of the event
 * @returns `undefined` where nothing did: a freeze that nobody counted out, shorter than a lease, is no cause
 */
export function causeOf(began: Begun, untilAt: number, told: readonly Fact[], lives: Lives): Cause | undefined {
  const owner = ownerOf(began.by)
  const isWorker = owner !== began.by
  // Those of an owner befall its versions.
  const blows = [...lives.blows(owner), ...(isWorker ? lives.blows(began.by) : [])].filter(({ at }) => at <= untilAt)
  if (blows.some(({ how }) => how === 'ended')) return 'kill'
  const freezes = (by: string): readonly Blow[] => {
    return lives
      .blows(by)
      .filter(({ how, at, untilAt: end = Infinity }) => how === 'frozen' && at <= untilAt && end >= began.at)
  }
  const isLong =
    (ms: number) =>
    (blow: Blow): boolean =>
      (blow.untilAt ?? Infinity) - blow.at >= ms
  if (freezes(owner).some(isLong(leaseMs))) return 'freeze'
  if (isWorker && freezes(began.by).some(isLong(workerSlotDefaults.hungAfterMs))) return 'freeze'
  // It says so when it wakes up, after what the others did meanwhile.
  const isOwnerOut = lives.outAt(owner).some((at) => at >= began.at)
  const isWorkerOut = isWorker && told.some(({ why }) => why?.includes('no sign of life') === true)
  if ((isOwnerOut && freezes(owner).length > 0) || (isWorkerOut && freezes(began.by).length > 0)) return 'freeze'
  if (isOwnerOut || isWorkerOut) return 'stood still'
  const isOutage = ({ by, at, why }: Fact): boolean => {
    return why?.includes('the store was out') === true && lives.storeOutAt(by).some((outAt) => outAt <= at)
  }
  return told.some(isOutage) ? 'outage' : undefined
}
