import type { Told } from './inbox.js'
import type { Marks } from './scenario.js'
import { isClean, type Verdict } from './verdict.js'

/** What the summary tells beside the verdict. All of it is read from the stand-in's ledger but the marks. */
export interface Circumstances {
  readonly secondsPlayed: number
  readonly guildCount: number
  readonly promiseAfterFailureMs: number | undefined
  readonly replayMs: number
  readonly rollback: { readonly count: number; readonly forMs: number }
  readonly crash: { readonly count: number }
  readonly slowFeature: { readonly count: number }
  readonly alerts: { readonly count: number; readonly database: Told }
  readonly marks: Marks
}

/** The summary at the end of the demo. */
export function report(verdict: Verdict, circumstances: Circumstances): string {
  const { promiseAfterFailureMs: promiseMs, rollback, marks } = circumstances
  const rows: [string, string][] = [
    ['commands sent', `${verdict.sent} from ${circumstances.guildCount} guilds`],
    ['answered within 3 s', `${verdict.inTime}, median ${ms(verdict.medianMs)}, 99 % within ${ms(verdict.p99Ms)}`],
    ['late', `${verdict.late}`],
    ['lost', `${verdict.lost}`],
    ['attempted twice', `${verdict.doubled}`],
    ['told to come back later', `${verdict.resting} (optional commands during the peak)`],
    ['answered with an apology', `${verdict.apologies}`],
    ['reminders promised', `${verdict.promised}, 99 % at most ${ms(verdict.reminderDelayP99Ms)} late`],
    ['reminders missing', `${verdict.missing}`],
    ['reminders sent twice', `${verdict.repeated}`],
    ['reminders back from the dead', `${verdict.resurrected}`],
    ['reminders that were not promised', `${verdict.unpromised}`],
    ['fail-over', promiseMs === undefined ? 'never' : `first promise kept elsewhere after ${ms(promiseMs)}`],
    ['operators', toldOf(circumstances)],
    ['return', `on the database again ${ms(circumstances.replayMs)} after it healed`],
    ['new version', marks.goodOutcome],
    ['new feature', `${marks.featureOutcome} at ${marks.featurePercentage} %`],
    [
      'slow feature',
      `${marks.slowFeatureOutcome} after ${ms(marks.slowFeatureCaughtAt - marks.slowFeatureBegunAt)}, seen by members as a failure ${circumstances.slowFeature.count} times`,
    ],
    ['faulty version', `${marks.faultyOutcome}, seen by members ${rollback.count} times within ${ms(rollback.forMs)}`],
    [
      'crashing version',
      `${marks.crashingOutcome}, ${marks.takenOver} commands finished by the old one, seen by members as a failure ${circumstances.crash.count} times`,
    ],
  ]
  const width = Math.max(...rows.map(([name]) => name.length)) + 2
  return [
    '',
    `Counted from the stand-in's ledger, ${circumstances.secondsPlayed.toFixed(0)} s played`,
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}${value}`),
    isClean(verdict) ? 'Nothing was lost and nothing was doubled.' : 'SOMETHING WAS LOST OR DOUBLED.',
  ].join('\n')
}

function toldOf({ alerts: { count, database }, marks }: Circumstances): string {
  const { beganAt, endedAt } = database
  if (beganAt === undefined || endedAt === undefined) return 'WERE NOT TOLD of the outage, or not of its end'
  const began = `${ms(beganAt - marks.databaseFailedAt)} after it began`
  const ended = `${ms(endedAt - marks.databaseHealedAt)} after the database healed`
  return `told of the outage ${began}, and of its end ${ended}; ${count} alerts in all`
}

function ms(value: number): string {
  return value < 10
    ? `${value.toFixed(1)} ms`
    : value < 10_000
      ? `${value.toFixed(0)} ms`
      : `${(value / 1_000).toFixed(1)} s`
}
