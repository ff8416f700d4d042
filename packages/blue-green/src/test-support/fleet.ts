import { FakeClock } from '@evenkeel/testing'
import { GaplessRestart } from '../restart.js'
import type { EventWork, GaplessRestartOptions } from '../restart.js'
import type { Clock } from '../ports.js'
import type { ClaimWrite, SharedStore } from '../restart.js'

/** One run of the handler. */
export interface Run {
  readonly eventId: string
  readonly by: string
  readonly attempt: number
  isEnded: boolean
}

/** What every process of a bot shares: time, the store, and the platform that sends each event to all of them. */
export class Fleet {
  readonly clock = new FakeClock()
  readonly store: FleetStore
  readonly processes: FleetProcess[] = []
  readonly runs: Run[] = []
  #names = 0

  constructor(random: () => number = () => 0) {
    this.store = new FleetStore(this.clock, random)
  }

  process(options: Partial<GaplessRestartOptions<string, string>> = {}): FleetProcess {
    this.#names += 1
    const process = new FleetProcess(this, `v${this.#names}`, options)
    this.processes.push(process)
    return process
  }

  /** Sends an event to every process that is logged in. Resolves at once; what came of it is in `runs`. */
  send(eventId: string): void {
    for (const process of this.processes) if (process.isLoggedIn) process.receive(eventId)
  }

  runsOf(eventId: string): readonly Run[] {
    return this.runs.filter((run) => run.eventId === eventId)
  }
}

/** The first one, and one that has come beside it and taken over. */
export async function twoProcesses(
  fleet: Fleet,
  options: Parameters<Fleet['process']>[0] = {},
): Promise<readonly [FleetProcess, FleetProcess]> {
  const [before, after] = [fleet.process(options), fleet.process(options)]
  await before.begin()
  const begun = after.begin()
  await fleet.clock.advance(1_000)
  await begun
  return [before, after]
}

/** One more that is logged in and stands by. */
export async function standby(fleet: Fleet, options: Parameters<Fleet['process']>[0] = {}): Promise<FleetProcess> {
  const next = fleet.process(options)
  const started = next.restart.start()
  await fleet.clock.advance(1_000)
  await started
  next.isLoggedIn = true
  return next
}

/** A stop that is under way, and whether it is over. */
export function stopOf({ restart }: FleetProcess): { isOver: boolean; readonly done: Promise<void> } {
  const stop = { isOver: false, done: restart.stop().then(() => void (stop.isOver = true)) }
  return stop
}

/** A process that can be killed or stand still. Time goes on for the others. */
export class FleetProcess {
  readonly version: string
  readonly restart: GaplessRestart<string, string>
  readonly told: string[] = []
  /** Events that `repeated` and `unfinished` were told of. */
  readonly repeated: string[] = []
  readonly unfinished: string[] = []
  readonly undecided: (string | undefined)[] = []
  /** What `handle` resolved, by event. */
  readonly answers = new Map<string, string | undefined>()
  readonly errors: unknown[] = []
  isLoggedIn = false
  /** Of one that is logged in: what comes while its connection is down waits in its session. */
  isConnected = true
  isDead = false
  killedMs = Infinity
  /** When its client was ended, and whether it has left in good order since. */
  endedMs = Infinity
  hasLeft = false
  /** What happens while its client is being ended. */
  onDisconnect: () => Promise<void> = async () => {}
  hasStoodStill = false
  /** It does not reach the store. */
  isCutOff = false
  /** Its next write lands, and then it is cut off before it hears of that. */
  losesNextAnswer = false
  /** It stands still in its next write, which lands. */
  freezesInNextWrite = false
  /** How long its handler works. */
  workMs = 0
  /** How far its wall clock is ahead. */
  skewMs = 0
  /** Its time, and its way to the store: for what else runs in it. */
  readonly clock: Clock
  readonly store: SharedStore
  readonly #fleet: Fleet
  readonly #session: string[] = []
  #thaw: (() => void) | undefined
  #frozen: Promise<void> | undefined
  #suspendedAtMs: number | undefined
  /** How long its machine was suspended. */
  #suspendedMs = 0

  constructor(fleet: Fleet, version: string, options: Partial<GaplessRestartOptions<string, string>>) {
    this.#fleet = fleet
    this.version = version
    this.clock = this.#clock()
    this.store = this.#reaching(fleet.store)
    this.restart = new GaplessRestart<string, string>({
      version,
      handle: (eventId, work) => this.#handle(eventId, work),
      // Event `7/1` is the first of guild 7.
      context: (eventId) => ({ eventId, guildId: eventId.split('/')[0] }),
      effects: 'keyed',
      store: this.store,
      scope: 'process',
      clock: this.clock,
      isConnected: () => this.isConnected,
      ...options,
    })
    this.restart.on('change', ({ what, from, to }) => this.told.push(`${what} ${from} > ${to}`))
    this.restart.on('repeated', ({ eventId }) => this.repeated.push(eventId))
    this.restart.on('unfinished', ({ eventId }) => this.unfinished.push(eventId))
    this.restart.on('undecided', ({ eventId }) => this.undecided.push(eventId))
  }

  /** As a bot does: start, then log in, then take over. */
  async begin(): Promise<void> {
    await this.restart.start()
    this.isLoggedIn = true
    await this.restart.takeOver()
  }

  /** For the option: its client is ended, and gets nothing more. */
  async disconnect(): Promise<void> {
    await this.onDisconnect()
    this.isLoggedIn = false
    this.endedMs = this.#fleet.clock.monotonic()
  }

  /** As a bot does: it hands over, mostly, and stops. */
  async end(drains: boolean): Promise<void> {
    if (drains) await this.restart.drain()
    await this.restart.stop()
    this.isLoggedIn = false
    this.hasLeft = true
  }

  /** It gets what waits for it first. */
  reconnect(): void {
    for (const eventId of this.#session.splice(0)) this.#receive(eventId)
    this.isConnected = true
  }

  receive(eventId: string): void {
    if (this.isConnected) this.#receive(eventId)
    else this.#session.push(eventId)
  }

  #receive(eventId: string): void {
    void this.whenAwake().then(() => {
      if (!this.isLoggedIn) return
      this.restart.handle(eventId).then(
        (answer) => this.answers.set(eventId, answer),
        (error: unknown) => this.errors.push(error),
      )
    })
  }

  kill(): void {
    this.isDead = true
    this.killedMs = this.#fleet.clock.monotonic()
    this.isLoggedIn = false
  }

  freeze(): void {
    this.hasStoodStill = true
    this.#frozen ??= new Promise((resolve) => (this.#thaw = resolve))
  }

  /** Its machine is suspended until it thaws: its monotonic clock and its timers stand still, too. */
  suspend(): void {
    this.#suspendedAtMs ??= this.#fleet.clock.monotonic()
    this.freeze()
  }

  /** Its next claim is written, and then it stands still. */
  freezeInNextClaim(): void {
    const set = this.store.set.bind(this.store)
    this.store.set = async (...write) => {
      this.store.set = set
      const written = await set(...write)
      this.freeze()
      await this.whenAwake()
      return written
    }
  }

  thaw(): void {
    const nowMs = this.#fleet.clock.monotonic()
    this.#suspendedMs += nowMs - (this.#suspendedAtMs ?? nowMs)
    this.#suspendedAtMs = undefined
    this.#frozen = undefined
    this.#thaw?.()
  }

  async #handle(eventId: string, { attempt }: EventWork): Promise<string> {
    const run: Run = { eventId, by: this.version, attempt, isEnded: false }
    this.#fleet.runs.push(run)
    if (this.workMs > 0) await new Promise<void>((resolve) => this.clock.after(this.workMs, resolve))
    await this.whenAwake()
    run.isEnded = true
    return `${eventId} from ${this.version}`
  }

  /** Never settles in a process that is dead, and not before it wakes up in one that stands still. */
  async whenAwake(): Promise<void> {
    while (this.#frozen !== undefined) await this.#frozen
    if (this.isDead) await new Promise(() => undefined)
  }

  #clock(): Clock {
    const { clock } = this.#fleet
    const monotonic = (): number => (this.#suspendedAtMs ?? clock.monotonic()) - this.#suspendedMs
    return {
      now: () => clock.now() + this.skewMs,
      monotonic,
      after: (ms, run) => {
        let isCancelled = false
        let cancel = (): void => undefined
        const dueMs = monotonic() + ms
        const wait = (forMs: number): void => {
          cancel = clock.after(forMs, () => {
            void this.whenAwake().then(() => {
              if (isCancelled) return
              if (monotonic() < dueMs) wait(dueMs - monotonic())
              else run()
            })
          })
        }
        wait(ms)
        return () => {
          isCancelled = true
          cancel()
        }
      },
    }
  }

  #reaching(store: SharedStore): SharedStore {
    const through = async <T>(ask: () => Promise<T>): Promise<T> => {
      await this.whenAwake()
      if (this.isCutOff) throw new Error('the network is unreachable')
      try {
        return await ask()
      } finally {
        await this.whenAwake()
      }
    }
    return {
      scope: store.scope,
      entry: (key) => through(() => store.entry(key)),
      compareAndSet: (key, expected, value) => {
        return through(async () => {
          if (this.freezesInNextWrite) this.freeze()
          this.freezesInNextWrite = false
          const written = await store.compareAndSet(key, expected, value)
          if (!this.losesNextAnswer) return written
          this.isCutOff = true
          throw new Error('the connection was lost')
        })
      },
      set: (key, value, options) => through(() => store.set(key, value, options)),
    }
  }
}

/** A store in memory that takes its time, and can be out. */
export class FleetStore implements SharedStore {
  readonly scope = 'process'
  isDown = false
  /** It can be read and not written: a replica after a fail-over, a full disk. */
  isReadOnly = false
  /** How long an answer takes at most, in ms. */
  slowMs = 0
  readonly #clock: FakeClock
  readonly #random: () => number
  readonly #entries = new Map<string, { value: unknown; version: string; endsMs: number }>()
  #writes = 0

  constructor(clock: FakeClock, random: () => number) {
    this.#clock = clock
    this.#random = random
  }

  async entry(key: string): Promise<{ value: unknown; version: string } | undefined> {
    await this.#reach()
    return structuredClone(this.#get(key))
  }

  async compareAndSet(
    key: string,
    expected: string | undefined,
    value: unknown,
  ): Promise<{ version: string } | undefined> {
    await this.#reachToWrite()
    if (this.#get(key)?.version !== expected) return undefined
    const written = this.#write(key, value, Infinity)
    await this.#reach()
    return written
  }

  async set(
    key: string,
    value: unknown,
    { ifAbsent, ifVersion, ttlMs = Infinity }: ClaimWrite = {},
  ): Promise<{ version: string }> {
    await this.#reachToWrite()
    const found = this.#get(key)?.version
    const isConflict = (ifAbsent === true && found !== undefined) || (ifVersion !== undefined && found !== ifVersion)
    if (isConflict) throw Object.assign(new Error(`${key} is there`), { code: 'STORAGE_CONFLICT' })
    const written = this.#write(key, value, ttlMs)
    await this.#reach()
    return written
  }

  #get(key: string): { value: unknown; version: string } | undefined {
    const found = this.#entries.get(key)
    return found !== undefined && this.#clock.monotonic() < found.endsMs ? found : undefined
  }

  #write(key: string, value: unknown, ttlMs: number): { version: string } {
    this.#writes += 1
    const version = String(this.#writes)
    const endsMs = this.#clock.monotonic() + ttlMs
    this.#entries.set(key, { value: structuredClone(value), version, endsMs })
    return { version }
  }

  async #reachToWrite(): Promise<void> {
    await this.#reach()
    if (this.isReadOnly) throw new Error('cannot write in a read-only transaction')
  }

  async #reach(): Promise<void> {
    const ms = Math.floor(this.#random() * this.slowMs)
    if (ms > 0) await new Promise<void>((resolve) => this.#clock.after(ms, resolve))
    if (this.isDown) throw new Error('connection refused')
  }
}
