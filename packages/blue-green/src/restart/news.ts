import type { Severity } from '../changes.js'
import { StoreUnavailableError } from '../errors.js'
import type { Clock } from '../ports.js'
import type { RestartChange, RestartEvents } from './events.js'
import type { Share, Table } from './records.js'
import { diedBetween } from './table.js'

/** Passes one event on to those who listen. */
type Emit = <Name extends keyof RestartEvents>(name: Name, news: RestartEvents[Name][0]) => void

/** What those who listen are told, in sentences. Nothing is decided here. */
export class RestartNews {
  readonly #clock: Clock
  readonly #emit: Emit

  constructor(clock: Clock, emit: Emit) {
    this.#clock = clock
    this.#emit = emit
  }

  /** Some have come or gone; of those who died it has been told. */
  members(table: Table, before: Table): void {
    const is = Object.keys(table.members).length
    const was = Object.keys(before.members).length - diedBetween(before, table).length
    if (was === is || was <= 0) return
    const versions = Object.values(table.members).map(({ version }) => `"${version}"`)
    const shares = `${is} ${is === 1 ? 'process shares' : 'processes share'} the token now: ${versions.join(', ')}.`
    const message = is === 0 ? 'No process shares the token any more.' : shares
    this.#change('members', was, is, is > was ? 'one has come' : 'one has gone', 'INFO', message)
  }

  /** Some gave no sign of life for too long. */
  died(ids: readonly string[], before: Table): void {
    const versions = ids.map((id) => `"${before.members[id]?.version ?? 'unknown'}"`).join(', ')
    const [who, are] = ids.length === 1 ? ['A process', 'is'] : [`${ids.length} processes`, 'are']
    const message = `${who} (version ${versions}) gave no sign of life and ${are} taken for dead.`
    const was = Object.keys(before.members).length
    this.#change('members', was, was - ids.length, 'its lease ran out', 'WARNING', message)
  }

  /** Someone else owns the events, or nobody, or the same one anew. */
  owner(table: Table, before: Table, isMine: boolean): void {
    const nameOf = (from: Table): string =>
      from.owner === null ? 'nobody' : `${from.members[from.owner]?.version ?? 'one that is gone'}`
    const isSuccession =
      before.owner !== null && table.members[before.owner] === undefined && !table.left.includes(before.owner)
    const why = isSuccession ? 'the owner gave no sign of life' : (table.why ?? 'it has taken over')
    const who = isMine ? 'This process' : 'Another process'
    const owns = `${who} (version "${nameOf(table)}") owns the events now. Why: ${why}.`
    const message = table.owner === null ? 'Nobody owns the events any more.' : owns
    this.#change('owner', nameOf(before), nameOf(table), why, isSuccession ? 'CRITICAL' : 'INFO', message)
  }

  /** Someone has another share of the guilds. */
  share(table: Table, before: Table): void {
    const [was, is] = [before.share?.percentage ?? 0, table.share?.percentage ?? 0]
    const of = (share: Share | null): string => (share && table.members[share.to]?.version) ?? 'one that is gone'
    const unsaid = table.share !== null ? 'it has taken them' : 'it has given them back, or they were taken back'
    const why = table.why ?? unsaid
    const version = of(table.share ?? before.share)
    const message = `Version "${version}" has ${is} % of the guilds now, before ${was} %. Why: ${why}.`
    this.#change('share', was, is, why, 'INFO', message)
  }

  /** The others took this process for dead. */
  out(): void {
    const why = 'it gave no sign of life for longer than its lease'
    this.#change('membership', 'in', 'out', why, 'CRITICAL', `The others went on without this process: ${why}.`)
  }

  /** They count it in again. */
  back(): void {
    const message = 'This process is one of those that share the token again.'
    this.#change('membership', 'out', 'in', 'it is back', 'INFO', message)
  }

  store(isUp: boolean, error: unknown): void {
    const why = isUp ? 'it answers again' : error instanceof StoreUnavailableError ? error.message : String(error)
    const [from, to] = isUp ? (['down', 'up'] as const) : (['up', 'down'] as const)
    const message = isUp ? 'The store of the claims answers again.' : `The store of the claims does not answer: ${why}`
    this.#change('store', from, to, why, isUp ? 'INFO' : 'CRITICAL', message)
  }

  /** This process is to go, and has its connection to wait for. */
  awaitsConnection(atMostMs: number): void {
    const why = 'what was sent to it meanwhile may wait in its session alone'
    const message = `This process is to go while its connection to the platform is down, and waits for that, for ${Math.round(atMostMs)} ms at most: ${why}.`
    this.#change('connection', 'down', 'awaited', why, 'INFO', message)
  }

  /** This process goes, and cannot know what there was for it. */
  leftUnconnected(hasWaited: boolean): void {
    const why = hasWaited ? 'it was not up again in time' : 'there was nobody yet who could serve meanwhile'
    const message = `This process stops while its connection to the platform is down, as ${why}: what was sent to it meanwhile is lost, unless the others were logged in by then.`
    this.#change('connection', 'down', 'left', why, 'WARNING', message)
  }

  replaced(from: string, to: string, bakeMs: number): void {
    const why = `version "${to}" has served for ${bakeMs} ms`
    const message = `This process (version "${from}") is replaced and may go. Why: ${why}.`
    this.#emit('replaced', { what: 'process', from, to, at: this.#clock.now(), why, severity: 'INFO', message })
  }

  /** An event runs once more; `isUnclaimed` where that is so because it ran without a claim. */
  repeated(eventId: string, by: string, attempt: number, isHarmless: boolean, isUnclaimed: boolean): void {
    const why = isUnclaimed
      ? 'the store was out when it came, and another process had claimed it'
      : 'the process that had it died, or stood still for longer than its lease'
    const message = `Event ${eventId} runs for the ${attempt}. time, as ${why}.`
    const severity = isHarmless ? 'INFO' : 'WARNING'
    const at = this.#clock.now()
    this.#emit('repeated', { what: 'event', from: by, to: 'repeated', eventId, attempt, at, why, severity, message })
  }

  /** An event of a dead process is left alone. */
  unfinished(eventId: string, by: string, attempt: number): void {
    const why = 'the process that had it died, or stood still for longer than its lease'
    const message = `Event ${eventId} may be done, half done or not begun, and does not run again (atMostOnce), as ${why}.`
    const [at, severity] = [this.#clock.now(), 'WARNING'] as const
    this.#emit('unfinished', {
      what: 'event',
      from: by,
      to: 'unfinished',
      eventId,
      attempt,
      at,
      why,
      severity,
      message,
    })
  }

  undecided(eventId: string | undefined, why: string): void {
    const event = eventId === undefined ? 'An event without an id' : `Event ${eventId}`
    const message = `${event} is let go without knowing whether another process has it: ${why}.`
    const [at, severity] = [this.#clock.now(), 'WARNING'] as const
    this.#emit('undecided', { what: 'event', from: 'kept', to: 'undecided', eventId, at, why, severity, message })
  }

  #change(
    what: RestartChange['what'],
    from: string | number,
    to: string | number,
    why: string,
    severity: Severity,
    message: string,
  ): void {
    this.#emit('change', { what, from, to, at: this.#clock.now(), why, severity, message })
  }
}
