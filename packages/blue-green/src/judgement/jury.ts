import { messageOf } from '../bounded.js'
import type { Settings } from '../options.js'
import type { DeploymentState } from '../transitions.js'
import { Evidence, type Finding } from './evidence.js'
import { EvidenceShelf } from './evidence-shelf.js'
import { forecast, type Forecast } from './forecast.js'
import { reported, type JudgeSettings, type ReportKind } from './judge-options.js'
import { LostDatabase } from './lost-database.js'
import { Window, type Side } from './window.js'

/** What the jury tells. None of it may throw. */
export interface JuryHooks {
  /** A window has ended: there may be another finding. */
  looked(): void
  /** Green has lost its database, and blue has not. Comes with the call or the report that shows it. */
  lost(why: string): void
  /** Evidence that was kept cannot be used, or cannot be kept. */
  trouble(why: string): void
}

/** So short a window is no look of its own at the end of a step. */
const leastRatio = 0.5

/** Watches both versions in windows, and says at any moment what the evidence is. */
export class Jury {
  readonly #settings: Settings
  readonly #judged: JudgeSettings
  readonly #hooks: JuryHooks
  readonly #evidence: Evidence
  readonly #shelf: EvidenceShelf
  #window = new Window()
  #windowSinceMs = 0
  #first: ReadonlySet<string> = new Set()
  #followed: string | undefined
  /** Where lost connections are judged. */
  readonly #database: LostDatabase | undefined
  #percentage = 0
  #epoch = 0
  #cancel: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()
  #isInTrouble = false
  /** What is written next. */
  #toKeep: ReturnType<Evidence['toJSON']> | undefined

  constructor(settings: Settings, judged: JudgeSettings, hooks: JuryHooks) {
    const { store, name, clock, storeTimeoutMs, maxFailingGuilds } = settings
    this.#settings = settings
    this.#judged = judged
    this.#hooks = hooks
    this.#evidence = new Evidence(judged)
    if (Object.hasOwn(judged.metrics, reported.connectionFailure.name)) {
      this.#database = new LostDatabase(clock, maxFailingGuilds)
    }
    this.#shelf = new EvidenceShelf(store, `blue-green:${name}:evidence`, clock, storeTimeoutMs)
  }

  /** Resolves when what has been seen is kept, or could not be. */
  get settled(): Promise<void> {
    return this.#writing
  }

  /** @throws StoreUnavailableError when the store does not say what is known */
  async open(epoch: number): Promise<void> {
    // What was seen before the last stop is part of what is there.
    await this.#writing
    const stored = await this.#shelf.read()
    this.#epoch = epoch
    // It may be of an earlier deployment than the one that goes on here.
    this.#followed = undefined
    if (typeof stored === 'object') this.#evidence.restore(stored)
    if (typeof stored === 'string') this.#hooks.trouble(`the evidence in the store cannot be used: ${stored}`)
  }

  /** Begins to look. */
  start(): void {
    this.#window = new Window()
    this.#windowSinceMs = this.#settings.clock.monotonic()
    this.#tick()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** A deployment is under way, with the evidence that it has. */
  follow({ id, from, to, first, percentage }: DeploymentState): void {
    // Who is on which version has changed: what failed before cannot be compared with what is served now.
    if (percentage !== this.#percentage) this.#database?.forget()
    this.#percentage = percentage
    if (this.#followed === id) return
    this.#followed = id
    this.#evidence.begin(id, from, to)
    this.#first = new Set(first)
    // What was before it is no part of its first window.
    if (this.#cancel !== undefined) this.#close()
  }

  add(side: Side, unitId: string | undefined, tookMs: number, isFailed: boolean): void {
    this.#window.add(side, unitId, tookMs, isFailed)
    const isWitness = side === 'green' || !isFailed
    if (unitId !== undefined && isWitness && !this.#first.has(unitId)) this.#loses(this.#database?.served(side, unitId))
  }

  report(kind: ReportKind, side: Side, unitId: string): void {
    this.#window.report(kind, side, unitId)
    if (kind !== 'connectionFailure' || this.#first.has(unitId)) return
    this.#loses(this.#database?.failed(side, unitId))
  }

  #loses(why: string | undefined): void {
    if (why === undefined) return
    this.#database?.forget()
    this.#hooks.lost(why)
  }

  measureMemory(version: string, ageMs: number, bytes: number): void {
    this.#evidence.measureMemory(version, ageMs, bytes)
  }

  forecast(plan: Parameters<typeof forecast>[0]): Forecast {
    return forecast(plan, this.#evidence.ordinary, this.#judged)
  }

  find(): Finding {
    return this.#evidence.find()
  }

  /** That green uses more memory than blue did at the same age, as a clause; `undefined` when it does not, as far as is known. */
  memoryProblem(): string | undefined {
    return this.#evidence.memoryProblem()
  }

  /** What has happened up to now counts for the end of a step, if it is enough to be looked at. */
  look(): void {
    if (this.#elapsedMs >= leastRatio * this.#judged.windowMs) this.#close()
  }

  get #elapsedMs(): number {
    return this.#settings.clock.monotonic() - this.#windowSinceMs
  }

  #tick(): void {
    this.#cancel?.()
    this.#cancel = this.#settings.clock.after(this.#judged.windowMs, () => {
      this.#close()
      this.#hooks.looked()
    })
  }

  #close(): void {
    const { clock } = this.#settings
    const [window, tookMs] = [this.#window, this.#elapsedMs]
    this.#window = new Window()
    this.#windowSinceMs = clock.monotonic()
    this.#evidence.add(window, this.#first, Math.max(1, tookMs))
    this.#keep()
    this.#tick()
  }

  /** One write at a time, and of what waits the newest. What fails is written with the next window; until then it is known here alone. */
  #keep(): void {
    const isWaiting = this.#toKeep !== undefined
    this.#toKeep = this.#evidence.toJSON()
    if (isWaiting) return
    this.#writing = this.#writing
      .then(() => {
        const evidence = this.#toKeep
        this.#toKeep = undefined
        return evidence && this.#shelf.write(this.#epoch, evidence)
      })
      .then(
        () => {
          this.#isInTrouble = false
        },
        (error: unknown) => {
          if (!this.#isInTrouble) this.#hooks.trouble(messageOf(error))
          this.#isInTrouble = true
        },
      )
  }
}
