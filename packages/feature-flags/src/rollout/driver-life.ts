import type { Evidence } from './evidence.js'
import type { FlagInForce } from './flag-in-force.js'
import type { Journal } from './journal.js'
import type { Knowledge } from './knowledge.js'
import type { Observer } from './observer.js'
import { powerNews, type RolloutChange } from './rollout-news.js'
import type { RolloutSettings } from './rollout-settings.js'
import type { Reason, RolloutRecord } from './rollout-record.js'
import type { SwitchOff } from './switch-off.js'
import { isGoing, timeBetween } from './transitions.js'

/** How a rollout has ended, as far as this process is concerned. */
export interface RolloutResult {
  /** `STOPPED`: it goes on, but not here. */
  readonly outcome: 'COMPLETE' | 'ROLLED_BACK' | 'ABORTED' | 'STOPPED'
  /** Why, as a clause. */
  readonly why: string
}

/** What a driver tells. None of it may throw. */
export interface DriverHooks {
  tell(news: RolloutChange): void
  over(result: RolloutResult): void
  /** There is something that is not over. */
  going(): void
}

/** What the parts of a driver share, from one start to the next stop. */
export interface Life {
  readonly settings: RolloutSettings
  readonly hooks: DriverHooks
  readonly journal: Journal
  readonly observer: Observer
  readonly inForce: FlagInForce
  readonly knowledge: Knowledge
  readonly switchOff: SwitchOff
  /** What the evidence will be able to show, once that is known. */
  power: string | undefined
  /** When it was last looked, if that went well and nobody has moved the run since. */
  lastLookMs: number | undefined
  /** The flag was off since it was last looked. */
  hasSeenTrouble: boolean
  /** When the last batch of a gradual rollback left. */
  batchAtMs: number | undefined
}

/** Begins anew with what is written down: somebody else may have driven. */
export function beginAnew(life: Life): void {
  life.knowledge.forget()
  life.power = undefined
  life.lastLookMs = undefined
  life.batchAtMs = undefined
}

/** How long it is since the last look, in milliseconds; 0 when there was none. */
export function sinceLastLook({ lastLookMs, settings }: Life): number {
  return lastLookMs === undefined ? 0 : settings.clock.monotonic() - lastLookMs
}

/** Tells what the evidence will be able to show, once in a life. */
export function foresee(life: Life, { traffic }: Evidence, isNews: boolean): void {
  if (life.power !== undefined) return
  const { hooks, observer, settings } = life
  const found = observer.foresee(traffic)
  life.power = found?.why
  if (isNews && found !== undefined) hooks.tell(powerNews(settings.flag, found, settings.clock.now()))
}

/** Writes down what is known and not written yet. @throws RolloutStoreError */
export async function saveUp({ journal, knowledge }: Life): Promise<void> {
  const { record } = journal
  if (record === undefined || !journal.isMine || !isGoing(record.run)) return
  const evidence = knowledge.evidenceOf(record)
  if (evidence === undefined) return
  const time = timeBetween(record.run, knowledge.runOf(record))
  await journal.move(time, silently, { since: record, evidence })
}

/** Time that passes is told to nobody. */
export const silently: Reason = { why: '', severity: 'INFO' }

/** What is known of the run of a record. @throws RolloutStoreError, RolloutFormatError */
export async function evidenceOf(
  { journal, knowledge, observer, settings }: Life,
  record: RolloutRecord,
): Promise<Evidence> {
  const known = knowledge.evidenceOf(record)
  if (known !== undefined) return known
  const nowMs = settings.clock.monotonic()
  const read = await journal.evidence(record)
  const evidence = read ?? (await observer.fresh(undefined))
  knowledge.knows(record, evidence, nowMs)
  // Without its evidence no time of the phase is healthy time.
  if (read === undefined) knowledge.learn(record, evidence, { ...record.run, healthyMs: 0 })
  return evidence
}
