import type { LedgerEvent } from '@evenkeel-examples/discord-standin'
import type { Fact } from './facts.js'

/** An event as it was sent. */
export interface Sent {
  readonly run: number
  readonly command: string
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
  /** When each process was first killed or frozen, broke, or was counted out; and that of workers. */
  disturbedAt(by: string): number
  /** When each process was killed, or ended by itself. */
  endedAt(by: string): number | undefined
  /** Whether it has said that the others had counted it out, without having been frozen. */
  stoodStill(by: string): boolean
  /** Whether a process was killed, or stood still for so long that the others went on without it. */
  isOut(by: string): boolean
}

export interface Tally {
  events: number
  handled: number
  'answered within 3 s': number
  'handled, not answered in time': number
  lost: number
  'refused, and told so': number
  'let go, and told so': number
  'nobody left who had got it': number
  'gone before the last one was killed': number
  'reported as unfinished': number
  'second runs': number
  'second runs reported': number
  'second runs on a machine that stood still': number
  effects: number
  'effects committed twice': number
}

export interface Fault {
  readonly run: number
  readonly id: string
  readonly what: string
}

/** One event, held against everything that is known of it. */
export function judge(evidence: Evidence): { readonly tally: Tally; readonly faults: readonly Fault[] } {
  const tally = noTally()
  const faults: Fault[] = []
  const byId = factsById(evidence.facts)
  /** When each process had gone in good order. */
  const leftAt = new Map(evidence.facts.filter(({ fact }) => fact === 'left').map(({ by, at }) => [by, at]))
  /** Whoever goes leaves what it has to those who have it, too; only a reckless run kills the last of them. */
  const isOrphaned = ({ recipients, isReckless }: Sent): boolean => {
    const killedAt = Math.max(...recipients.map((by) => evidence.endedAt(by) ?? -Infinity))
    const isGone = (by: string): boolean =>
      evidence.endedAt(by) !== undefined || (leftAt.get(by) ?? Infinity) <= killedAt
    return isReckless && recipients.every(isGone)
  }
  for (const event of evidence.events) {
    const { id } = event
    const sent = evidence.sent.get(id)
    if (sent === undefined) continue
    const facts = byId.get(id) ?? []
    const fault = (what: string): void => void faults.push({ run: sent.run, id, what })
    tally.events += 1

    const isHandled = facts.some(({ fact }) => fact === 'ended')
    const isUnfinished = facts.some(({ fact }) => fact === 'unfinished')
    const hasAnswer = event.answeredAt !== undefined
    const failure = facts.find(({ fact }) => fact === 'failed')?.why
    // No version could start in time to take it, so `handle` has said that nothing was begun.
    const isRefused = failure?.startsWith('NotBegunError') === true
    if (hasAnswer) tally['answered within 3 s'] += 1
    if (isHandled) tally.handled += 1
    if (isHandled && !hasAnswer) tally['handled, not answered in time'] += 1
    if (!isHandled && isUnfinished) tally['reported as unfinished'] += 1
    else if (!isHandled && isRefused) tally['refused, and told so'] += 1
    else if (!isHandled && sent.recipients.every((by) => evidence.isOut(by))) tally['nobody left who had got it'] += 1
    else if (!isHandled && facts.some(({ fact }) => fact === 'undecided')) {
      tally['let go, and told so'] += 1
    } else if (!isHandled && isOrphaned(sent)) {
      tally['gone before the last one was killed'] += 1
    } else if (!isHandled) {
      tally.lost += 1
      fault('lost')
    }
    if (!hasAnswer && !isUnfinished && !isRefused && failure !== undefined) fault(`failed: ${failure}`)

    const runs = facts.filter(({ fact }) => fact === 'began')
    const told = facts.filter(({ fact }) => fact === 'repeated')
    tally['second runs'] += Math.max(0, runs.length - 1)
    tally['second runs reported'] += Math.min(told.length, Math.max(0, runs.length - 1))
    if (told.length < runs.length - 1) fault(`ran ${runs.length} times, and ${told.length} second runs were reported`)
    for (const [i, later] of runs.entries()) {
      const first = runs[i - 1]
      if (first === undefined || evidence.disturbedAt(first.by) <= later.at) continue
      // Nothing was done to it, and yet it gave no sign of life in time, as a machine can be too busy for that.
      const isStill = told.some(({ why }) => why?.includes('no sign of life')) || evidence.stoodStill(first.by)
      if (isStill) tally['second runs on a machine that stood still'] += 1
      else fault(`ran on ${later.by} although nothing had happened to ${first.by}`)
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
  return { tally, faults }
}

export function noTally(): Tally {
  return {
    events: 0,
    handled: 0,
    'answered within 3 s': 0,
    'handled, not answered in time': 0,
    lost: 0,
    'refused, and told so': 0,
    'let go, and told so': 0,
    'nobody left who had got it': 0,
    'gone before the last one was killed': 0,
    'reported as unfinished': 0,
    'second runs': 0,
    'second runs reported': 0,
    'second runs on a machine that stood still': 0,
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
