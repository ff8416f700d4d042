import { type AlertNotice, type NoticeKind, SEVERITIES } from './alert.js'
import { takes } from './channels/channel.js'
import { DueTimes } from './due-times.js'
import { fingerprintOf } from './fingerprint.js'
import type { Burials } from './burials.js'
import type { TakenIn } from './intake.js'
import type { Ledger, SpoolRecord } from './ledger.js'
import type { ResolvedOptions } from './options.js'
import { route } from './routing.js'
import { matches, type Silence } from './silences.js'
import { type AlertState, nextDueMs, occur, pass, resolve, type Step, suppressed, told } from './transitions.js'

/** Counts and merged alerts are written down this long after they changed, all at once. */
const LAZY_MS = 1_000
/** When too much waits, this share of it goes at once, so that a storm does not look for one again and again. */
const EVICTED_RATIO = 0.01

/** What the desk needs of its surroundings. */
export interface DeskHost {
  readonly options: ResolvedOptions
  readonly ledger: Ledger
  readonly burials: Pick<Burials, 'evict' | 'isLeaving' | 'leaving'>
  record(record: SpoolRecord): void
  steadyMs(): number
  after(delayMs: number, run: () => void): () => void
  newId(): string
  isDown(channel: string): boolean
  /** A notice waits for these channels. */
  onNotice(notice: AlertNotice, channels: readonly string[]): void
}

/** Where alerts come in: decides what is told, what is merged into what people know, and who wants quiet. */
export class Desk {
  readonly #host: DeskHost
  readonly #changed = new Set<string>()
  #areTotalsChanged = false
  #cancelLazy: (() => void) | undefined
  #cancelTick: () => void = () => undefined
  #tickMs = Infinity
  readonly #due = new DueTimes()

  constructor(host: DeskHost) {
    this.#host = host
  }

  /** An alert came in. */
  occur(taken: TakenIn, times = 1): void {
    const { options, ledger } = this.#host
    const { key } = taken
    for (let time = 0; time < times; time++) {
      const nowMs = this.#host.steadyMs()
      const before = ledger.states.get(key)
      if (before === undefined) this.#makeRoom()
      this.#follow(key, occur(before, taken, nowMs, options), nowMs, true)
    }
  }

  /** An alert ended. Resolves nothing, and says so, when it had not begun. */
  resolve(key: string, message?: string): boolean {
    const { options, ledger } = this.#host
    const nowMs = this.#host.steadyMs()
    const before = ledger.states.get(key)
    const step = resolve(before, nowMs, options)
    if (step === undefined || before === undefined) return false
    const state = message === undefined ? step.state : { ...step.state, message }
    const isUnknown = !before.isKnown && !before.isFlapping
    this.#follow(key, { ...step, state }, nowMs, true, isUnknown ? 'silenced' : 'merged')
    return true
  }

  silence(silence: Silence): void {
    this.#host.record({ type: 'silence', silence })
    this.#tickAt(silence.until)
  }

  unsilence(id: string): boolean {
    if (!this.#host.ledger.silences.has(id)) return false
    this.#host.record({ type: 'unsilence', id })
    this.lookAtAll()
    return true
  }

  /** So many came in, and there was no room for them. */
  lose(count: number): void {
    const { totals } = this.#host.ledger
    totals.accepted += count
    totals.lost += count
    this.#areTotalsChanged = true
    this.#writeSoon()
  }

  /** Looks at every alert: what is known came from elsewhere, or a silence is over. */
  lookAtAll(): void {
    this.#look([...this.#host.ledger.states.keys()])
    this.#tick()
  }

  /** Writes down what was kept for later. */
  writeChanged(): void {
    const { ledger } = this.#host
    this.#cancelLazy?.()
    this.#cancelLazy = undefined
    for (const key of this.#changed) {
      const state = ledger.states.get(key)
      if (state !== undefined) this.#host.record({ type: 'state', key, state })
    }
    this.#changed.clear()
    if (this.#areTotalsChanged) this.#host.record({ type: 'totals', totals: { ...ledger.totals } })
    this.#areTotalsChanged = false
  }

  stop(): void {
    this.writeChanged()
    this.#cancelTick()
    this.#tickMs = Infinity
    this.#due.clear()
  }

  /** Looks what time has made due: reminders, digests, the ends of silences and of flapping. */
  #tick(): void {
    const { silences } = this.#host.ledger
    const nowMs = this.#host.steadyMs()
    this.#cancelTick()
    this.#tickMs = Infinity
    const over = [...silences.values()].filter(({ until }) => until <= nowMs)
    for (const { id } of over) this.#host.record({ type: 'unsilence', id })
    if (over.length > 0) return this.lookAtAll()
    this.#look(this.#due.take(nowMs))
    this.#tickAt(Math.min(this.#due.nextMs, ...[...silences.values()].map(({ until }) => until)))
  }

  #look(keys: readonly string[]): void {
    const { ledger, options } = this.#host
    const nowMs = this.#host.steadyMs()
    for (const key of keys) {
      const state = ledger.states.get(key)
      if (state === undefined) continue
      const dueMs = nextDueMs(state, options) ?? (state.owed === undefined ? Infinity : nowMs)
      if (dueMs > nowMs) {
        this.#dueAt(key, dueMs)
        continue
      }
      const step = pass(state, nowMs, options, this.#isSilenced(state))
      if (step === undefined) this.#forget(key)
      else if (step.tell !== undefined || step.state !== state) this.#follow(key, step, nowMs, false)
    }
  }

  #follow(
    key: string,
    { state, tell }: Step,
    nowMs: number,
    isCounted: boolean,
    otherwise: 'merged' | 'silenced' = 'merged',
  ): void {
    if (tell === undefined) {
      this.#keep(key, state)
      if (isCounted) this.#count(otherwise)
      return
    }
    const notice = this.#notice(key, tell, state, nowMs)
    const isQuiet = this.#isSilenced(state)
    const channels = isQuiet ? [] : route(notice, state.about, this.#routing())
    if (channels.length === 0) {
      this.#keep(key, isQuiet ? suppressed(state, tell, nowMs) : told(state, nowMs))
      this.#count('silenced')
      return
    }
    const { expireMs } = this.#host.options
    const to = Object.fromEntries(channels.map((channel) => [channel, 'waiting' as const]))
    const about = state.about === undefined ? {} : { about: state.about }
    this.#host.record({ type: 'notice', notice, bornMs: nowMs, expiresMs: nowMs + expireMs, to, ...about })
    const known = told(state, nowMs)
    this.#changed.delete(key)
    this.#host.record({ type: 'state', key, state: known })
    this.#dueAt(key, nextDueMs(known, this.#host.options))
    this.#host.onNotice(notice, channels)
    this.#evict()
  }

  #notice(key: string, kind: NoticeKind, state: AlertState, nowMs: number): AlertNotice {
    const { name, severity, message, labels, sinceMs, untold, count } = state
    const id = this.#host.newId()
    const fingerprint = fingerprintOf(key)
    const times = kind === 'repeated' ? untold : count
    return { id, fingerprint, kind, name, severity, message, labels, at: nowMs, since: sinceMs, count: times }
  }

  #routing(): Parameters<typeof route>[2] {
    const { options } = this.#host
    return {
      routes: options.routes,
      fallback: options.fallback,
      takes: (name, alert) => {
        const channel = options.channels.get(name)
        return channel !== undefined && takes(channel, alert)
      },
      isDown: (channel) => this.#host.isDown(channel),
    }
  }

  #isSilenced({ name, severity, labels }: Pick<AlertNotice, 'name' | 'severity' | 'labels'>): boolean {
    const nowMs = this.#host.steadyMs()
    for (const { matching, until } of this.#host.ledger.silences.values()) {
      if (until > nowMs && matches(matching, { name, severity, labels })) return true
    }
    return false
  }

  #keep(key: string, state: AlertState): void {
    this.#host.ledger.states.set(key, state)
    this.#changed.add(key)
    this.#dueAt(key, nextDueMs(state, this.#host.options))
    this.#writeSoon()
  }

  #forget(key: string): void {
    this.#changed.delete(key)
    this.#due.delete(key)
    this.#host.record({ type: 'forget', key })
  }

  #count(what: 'merged' | 'silenced'): void {
    const { totals } = this.#host.ledger
    totals.accepted++
    totals[what]++
    this.#areTotalsChanged = true
    this.#writeSoon()
  }

  #writeSoon(): void {
    this.#cancelLazy ??= this.#host.after(LAZY_MS, () => this.writeChanged())
  }

  #dueAt(key: string, ms: number | undefined): void {
    if (ms === undefined) return
    this.#due.note(key, ms)
    this.#tickAt(ms)
  }

  #tickAt(ms: number): void {
    if (ms >= this.#tickMs) return
    this.#cancelTick()
    this.#tickMs = ms
    this.#cancelTick = this.#host.after(Math.max(1, ms - this.#host.steadyMs()), () => this.#tick())
  }

  /** What is over is forgotten first, then what is oldest. */
  #makeRoom(): void {
    const { ledger, options } = this.#host
    if (ledger.states.size < options.maxPending) return
    let room = Math.ceil(options.maxPending * EVICTED_RATIO)
    const isOver = ({ status, isLasting, owed }: AlertState): boolean =>
      owed === undefined && (status === 'resolved' || !isLasting)
    for (const mayGo of [isOver, () => true]) {
      for (const [key, state] of ledger.states) {
        if (room === 0) return
        if (!mayGo(state)) continue
        this.#forget(key)
        room--
      }
    }
  }

  #evict(): void {
    const { ledger, burials, options } = this.#host
    if (ledger.pending.size - burials.leaving <= options.maxPending) return
    let excess = Math.ceil(options.maxPending * EVICTED_RATIO)
    // What is being sent may have arrived.
    const { held } = ledger
    const victims: string[] = []
    for (const severity of SEVERITIES) {
      for (const [id, { notice }] of ledger.pending) {
        if (excess === 0) break
        if (notice.severity !== severity || burials.isLeaving(id) || held.has(id)) continue
        victims.push(id)
        excess--
      }
    }
    if (victims.length > 0) burials.evict(victims)
  }
}
