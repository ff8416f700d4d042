import type { Ledger } from '@evenkeel-examples/discord-standin'
import { quantile } from '../load.js'
import { askedBy } from './traffic.js'

/** What the members of all guilds saw, counted from the stand-in's ledger alone. */
export interface Verdict {
  /** Commands that members gave. */
  readonly sent: number
  /** Answered within the three seconds that Discord allows. */
  readonly inTime: number
  /** Answered, or tried to be, after them. */
  readonly late: number
  /** Never answered. */
  readonly lost: number
  /** Answered, or tried to be, more than once. */
  readonly doubled: number
  /** Told to come back later: switched off for the moment, or no place for it, on purpose. */
  readonly resting: number
  /** Answered with an apology: a failure that a member saw. */
  readonly apologies: number
  readonly medianMs: number
  readonly p99Ms: number
  /** Reminders that a member was promised and did not take back. */
  readonly promised: number
  /** Promised reminders that never came. */
  readonly missing: number
  /** Reminders that came more than once. */
  readonly repeated: number
  /** Reminders that came after they had been taken back. */
  readonly resurrected: number
  /** Reminders that came although the answer had been an apology. */
  readonly unpromised: number
  /** How late reminders came, 99 of 100. */
  readonly reminderDelayP99Ms: number
}

const ackDeadlineMs = 3_000

/** Judges the ledger. */
export function judge(ledger: Ledger): Verdict {
  const latencies: number[] = []
  const promised = new Map<string, number>()
  const forgotten = new Map<string, number>()
  let inTime = 0
  let late = 0
  let lost = 0
  let doubled = 0
  let resting = 0
  let apologies = 0

  for (const event of ledger.events) {
    if (event.attempts.length > 1) doubled++
    const answer = event.answer ?? ''
    if (event.answeredAt === undefined) {
      if (event.attempts.length > 0) late++
      else lost++
      continue
    }
    const tookMs = event.answeredAt - event.sentAt
    latencies.push(tookMs)
    if (tookMs <= ackDeadlineMs) inTime++
    else late++
    if (answer.includes('Please try again')) resting++
    if (isApology(answer)) apologies++
    if (answer.startsWith('I will remind you')) promised.set(event.id, event.answeredAt)
    if (answer.startsWith('Forgotten: ')) forgotten.set(askedBy(answer) ?? '', event.answeredAt)
  }

  const came = new Map<string, number[]>()
  for (const { content, at } of ledger.messages) {
    const id = askedBy(content)
    if (id !== undefined) came.set(id, [...(came.get(id) ?? []), at])
  }
  const kept = [...promised.keys()].filter((id) => !forgotten.has(id))
  const delays = ledger.events.flatMap((event) => {
    const [at] = came.get(event.id) ?? []
    return at === undefined ? [] : [at - event.sentAt - delayOf(event.options)]
  })

  latencies.sort((a, b) => a - b)
  delays.sort((a, b) => a - b)
  return {
    sent: ledger.events.length,
    inTime,
    late,
    lost,
    doubled,
    resting,
    apologies,
    medianMs: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    promised: kept.length,
    missing: kept.filter((id) => !came.has(id)).length,
    repeated: [...came.values()].filter((times) => times.length > 1).length,
    resurrected: [...forgotten.keys()].filter((id) => came.has(id)).length,
    unpromised: [...came.keys()].filter((id) => !promised.has(id)).length,
    reminderDelayP99Ms: quantile(delays, 0.99),
  }
}

/** True when nothing was lost and nothing was done twice. */
export function isClean(verdict: Verdict): boolean {
  const { late, lost, doubled, missing, repeated, resurrected } = verdict
  return late + lost + doubled + missing + repeated + resurrected === 0
}

/** How long members were without a promise: from the moment given to the first reminder asked for later and promised. */
export function firstPromiseAfter(ledger: Ledger, at: number): number | undefined {
  const answers = ledger.events
    .filter((event) => event.sentAt >= at && event.answer?.startsWith('I will remind you'))
    .map((event) => event.answeredAt ?? Infinity)
  return answers.length === 0 ? undefined : Math.min(...answers) - at
}

/** How long members saw apologies from the moment given on, up to another one, and how many. */
export function apologiesAfter(ledger: Ledger, at: number, until = Infinity): { count: number; forMs: number } {
  const seen = ledger.events.filter(({ sentAt, answer = '' }) => sentAt >= at && sentAt < until && isApology(answer))
  const times = seen.map((event) => event.sentAt)
  return { count: seen.length, forMs: seen.length === 0 ? 0 : Math.max(...times) - Math.min(...times) }
}

function isApology(answer: string): boolean {
  return answer.startsWith('Sorry')
}

function delayOf(options: Readonly<Record<string, unknown>>): number {
  const seconds = /^(\d+)s$/.exec(String(options['in']))?.[1]
  return Number(seconds ?? 0) * 1_000
}
