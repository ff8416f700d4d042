import type { LedgerEvent } from '@evenkeel-examples/discord-standin'
import { causeOf, type Begun, type Blow, type Lives } from './causes.js'
import { ownerOf, type Fact } from './facts.js'

/** An event as it was sent. */
export interface Sent {
  readonly run: number
  readonly command: string
  /** Epoch ms. */
  readonly at: number
  /** The processes that were logged in. */
  readonly recipients: readonly string[]
  /** Whether the run kills also the only one that has got an event. */
  readonly isReckless: boolean
}

/** What is known of a chaos run when it is over. */
export interface Evidence {
  readonly sent: ReadonlyMap<string, Sent>
  /** The ledger of the platform, which ran in a process of its own. */
  readonly events: readonly LedgerEvent[]
  readonly facts: readonly Fact[]
  /** How often the effect of an event is in the storage. */
  readonly effects: ReadonlyMap<string, number>
  /** What befell each process, and each worker. */
  readonly blows: ReadonlyMap<string, readonly Blow[]>
}

export interface Tally {
  events: number
  handled: number
  'answered within 3 s': number
  /** The platform saw the answer, after its deadline. */
  'answered too late': number
  /** A version was done with it; its process, or the owner's, was gone before the platform saw an answer, and nobody was there to tell. */
  'gone with its process before the answer': number
  lost: number
  'refused, and told so': number
  'let go, and told so': number
  'nobody left who had got it': number
  'gone before the last one was killed': number
  /** Nobody else lived any more, so it came to a client that was being destroyed, or was refused. */
  'came as the last one left': number
  'reported as unfinished': number
  'second runs': number
  'second runs reported': number
  'second runs after a kill': number
  /** Of one that was frozen for so long that the others went on without it. */
  'second runs after a freeze': number
  'second runs on a machine that stood still': number
  'second runs as the store was out': number
  effects: number
  'effects committed twice': number
}

/** What is to be said of an event. */
export interface Remark {
  readonly run: number
  readonly id: string
  readonly what: string
}

export interface Verdict {
  readonly tally: Tally
  /** What must not be. */
  readonly faults: readonly Remark[]
  /** Events that nobody has handled, each with what was told of it. */
  readonly letGo: readonly Remark[]
}

const secondRunsAfter = {
  kill: 'second runs after a kill',
  freeze: 'second runs after a freeze',
  'stood still': 'second runs on a machine that stood still',
  outage: 'second runs as the store was out',
} as const

/** Each event, held against everything that is known of it: what the members saw, the ledger of the platform says, and nobody else. */
export function judge(evidence: Evidence): Verdict {
  const tally = noTally()
  const faults: Remark[] = []
  const letGo: Remark[] = []
  const byId = factsById(evidence.facts)
  const lives = livesOf(evidence)
  const endedAt = (by: string): number | undefined => lives.blows(by).find(({ how }) => how === 'ended')?.at
  /** It ended, or the others went on without it after the event had come. */
  const isOut = (by: string, sentAt: number): boolean =>
    endedAt(by) !== undefined || lives.outAt(by).some((at) => at >= sentAt)
  /** When each process had gone in good order. */
  const leftAt = new Map(evidence.facts.filter(({ fact }) => fact === 'left').map(({ by, at }) => [by, at]))
  /** Whoever goes leaves what it has to those who have it, too; only a reckless run kills the last of them. */
  const isOrphaned = ({ recipients, isReckless }: Sent): boolean => {
    const killedAt = Math.max(...recipients.map((by) => endedAt(by) ?? -Infinity))
    const isGone = (by: string): boolean => endedAt(by) !== undefined || (leftAt.get(by) ?? Infinity) <= killedAt
    return isReckless && recipients.every(isGone)
  }
  /** Whether one that went in good order, soon after an event was sent, has refused that, or its client passed it on no more. */
  const hasClosed = (by: string, at: number, facts: readonly Fact[]): boolean => {
    const own = facts.filter((one) => one.by === by)
    const refusals = own.filter(({ fact, why }) => fact === 'failed' && why?.startsWith('NotStartedError') === true)
    const passes = own.filter(({ fact }) => fact === 'got')
    const isSoon = (leftAt.get(by) ?? Infinity) - at <= ackDeadlineMs
    return isSoon && refusals.length === passes.length && own.length === refusals.length + passes.length
  }
  /** Nobody who lived was to stay: only a reckless run kills all but the one that has been told to leave. */
  const isLastOut = ({ at, recipients, isReckless }: Sent, facts: readonly Fact[]): boolean =>
    isReckless && recipients.every((by) => isOut(by, at) || hasClosed(by, at, facts))
  for (const event of evidence.events) {
    const { id } = event
    const sent = evidence.sent.get(id)
    if (sent === undefined) continue
    const facts = byId.get(id) ?? []
    const fault = (what: string): void => void faults.push({ run: sent.run, id, what })
    tally.events += 1

    const runs = facts.filter(({ fact }) => fact === 'began')
    const told = facts.filter(({ fact }) => fact === 'repeated')
    const undecided = facts.filter(({ fact }) => fact === 'undecided')
    const isHandled = facts.some(({ fact }) => fact === 'ended')
    const isUnfinished = facts.some(({ fact }) => fact === 'unfinished')
    const hasAnswer = event.answeredAt !== undefined
    const failure = facts.find(({ fact }) => fact === 'failed')?.why
    // No version could start in time to take it, so `handle` has said that nothing was begun.
    const isRefused = failure?.startsWith('NotBegunError') === true
    const isClosed = isLastOut(sent, facts)
    if (hasAnswer) tally['answered within 3 s'] += 1
    if (isHandled) tally.handled += 1
    if (isHandled && !hasAnswer) {
      /** Of each run that came to its end, what kept its answer from the platform: within the deadline, for what came later has nothing to do with it. */
      const gone = facts.flatMap((ended) => {
        const began = runs.find(
          ({ by, attempt }) => ended.fact === 'ended' && ended.by === by && ended.attempt === attempt,
        )
        return began === undefined ? [] : [causeOf(began, ended.at + ackDeadlineMs, facts, lives)]
      })
      const isLate = event.attempts.some(({ code }) => code === tooLate) || facts.some(({ fact }) => fact === 'late')
      if (isLate) tally['answered too late'] += 1
      else if (isUnfinished) tally['reported as unfinished'] += 1
      else if (!gone.includes(undefined)) tally['gone with its process before the answer'] += 1
      else if (failure === undefined || isRefused) {
        tally.lost += 1
        fault('was handled, and its answer never came to the platform')
      }
    }
    if (!isHandled && isUnfinished) tally['reported as unfinished'] += 1
    else if (!isHandled && isRefused) tally['refused, and told so'] += 1
    else if (!isHandled && sent.recipients.every((by) => isOut(by, sent.at))) tally['nobody left who had got it'] += 1
    else if (!isHandled && undecided.length > 0) {
      tally['let go, and told so'] += 1
      letGo.push({ run: sent.run, id, what: undecided.map(({ by, why }) => `${by} let it go: ${why}`).join('; ') })
    } else if (!isHandled && isOrphaned(sent)) {
      tally['gone before the last one was killed'] += 1
    } else if (!isHandled && isClosed) {
      tally['came as the last one left'] += 1
    } else if (!isHandled) {
      tally.lost += 1
      fault('lost')
    }
    if (!hasAnswer && !isUnfinished && !isRefused && !isClosed && failure !== undefined) fault(`failed: ${failure}`)

    tally['second runs'] += Math.max(0, runs.length - 1)
    tally['second runs reported'] += Math.min(told.length, Math.max(0, runs.length - 1))
    if (told.length < runs.length - 1) fault(`ran ${runs.length} times, and ${told.length} second runs were reported`)
    for (const [first, later] of inPairs(runs, facts)) {
      const isSameOwner = ownerOf(first.by) === ownerOf(later.by)
      const cause = causeOf(isSameOwner ? first.run : first, isSameOwner ? later.run.at : later.at, told, lives)
      if (cause !== undefined) tally[secondRunsAfter[cause]] += 1
      else fault(`ran on ${later.by} although nothing had befallen ${first.by} that ends it, or its lease`)
    }
    if (sent.command === 'once' && runs.length > 1) fault(`must not run twice, and ran ${runs.length} times`)

    const effects = evidence.effects.get(id) ?? 0
    tally.effects += effects
    if (effects > 1) {
      tally['effects committed twice'] += 1
      fault(`its effect was committed ${effects} times`)
    }
    if (sent.command === 'pay' && isHandled && effects === 0) fault('was handled, and its effect is not there')
  }
  return { tally, faults, letGo }
}

/** What Discord says to an answer after the deadline. */
const tooLate = 10_062
const ackDeadlineMs = 3_000

/** A run, and when its process began with the event: of a version, when its owner did, for a version may begin much later. */
interface Turn extends Begun {
  readonly run: Fact
}

/** The runs of an event in the order in which they were decided, each with the next one. */
function inPairs(runs: readonly Fact[], facts: readonly Fact[]): readonly (readonly [Turn, Turn])[] {
  const turns = runs.map((run): Turn => {
    const taken = facts.filter(({ fact, by, at }) => fact === 'taken' && by === ownerOf(run.by) && at <= run.at)
    return { by: run.by, at: taken.at(-1)?.at ?? run.at, run }
  })
  turns.sort((a, b) => a.at - b.at || a.run.at - b.run.at)
  return turns.slice(1).map((later, i) => [turns[i] as Turn, later] as const)
}

function livesOf({ blows, facts }: Evidence): Lives {
  const [outAt, storeOutAt] = [new Map<string, number[]>(), new Map<string, number[]>()]
  const note = (times: Map<string, number[]>, { by, at }: Fact): void =>
    void times.set(by, [...(times.get(by) ?? []), at])
  for (const fact of facts) {
    if (fact.fact === 'out') note(outAt, fact)
    if (fact.why?.startsWith('The store of the claims does not answer') === true) note(storeOutAt, fact)
  }
  return {
    blows: (by) => blows.get(by) ?? [],
    outAt: (by) => outAt.get(by) ?? [],
    storeOutAt: (by) => storeOutAt.get(by) ?? [],
  }
}

export function noTally(): Tally {
  return {
    events: 0,
    handled: 0,
    'answered within 3 s': 0,
    'answered too late': 0,
    'gone with its process before the answer': 0,
    lost: 0,
    'refused, and told so': 0,
    'let go, and told so': 0,
    'nobody left who had got it': 0,
    'gone before the last one was killed': 0,
    'came as the last one left': 0,
    'reported as unfinished': 0,
    'second runs': 0,
    'second runs reported': 0,
    'second runs after a kill': 0,
    'second runs after a freeze': 0,
    'second runs on a machine that stood still': 0,
    'second runs as the store was out': 0,
    effects: 0,
    'effects committed twice': 0,
  }
}

export function addTo(sum: Tally, more: Tally): void {
  for (const name of Object.keys(sum) as (keyof Tally)[]) sum[name] += more[name]
}

function factsById(facts: readonly Fact[]): Map<string, Fact[]> {
  const byId = new Map<string, Fact[]>()
  for (const fact of [...facts].sort((a, b) => a.at - b.at)) {
    if (fact.id === undefined) continue
    const list = byId.get(fact.id)
    if (list === undefined) byId.set(fact.id, [fact])
    else list.push(fact)
  }
  return byId
}
