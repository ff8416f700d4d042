import { randomInt } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend, ChangeLog, KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { CommitQueue, type WaitingCommit } from '../commit-queue.js'
import { BusyError, ConflictError, CorruptError, StorageError, UnavailableError, type Applied } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import type { FileOps } from '../file/file-ops.js'
import type { Clock } from '../ports.js'
import { SqliteChangeLog } from './sqlite-change-log.js'
import { SqliteCheck, type Place } from './sqlite-check.js'
import { failureOf, findDriver, type SqliteDriver, type SqliteDriverName } from './sqlite-driver.js'
import { examine } from './sqlite-examine.js'
import { SqliteFile } from './sqlite-file.js'
import { SqliteHints } from './sqlite-hints.js'
import { watchLogOf } from './watch-log.js'
import { SqliteStatements } from './sqlite-statements.js'
import { SqliteTransaction } from './sqlite-transaction.js'
import { SqliteTurn } from './sqlite-turn.js'
import { SqliteUpkeep } from './sqlite-upkeep.js'
import type { Kept, Scope, StorageHealth } from '../storage.js'
import { holdProcess } from '../system-clock.js'

/** Commits that share one transaction; together they block the event loop. */
const MAX_GROUP = 200

/** A value of at most so many characters is none that SQLite could refuse as too big. */
const SAFE_CHARACTERS = 100_000

/** The pause before a locked database is tried again, in milliseconds; at random, so that two do not keep colliding. */
const RETRY_MS = [1, 12] as const

interface Open {
  readonly file: SqliteFile
  readonly statements: SqliteStatements
  readonly transaction: SqliteTransaction
  readonly log: SqliteChangeLog
  readonly upkeep: SqliteUpkeep
  readonly check: SqliteCheck
  readonly readDataVersion: () => number
}

/** What a {@link SqliteBackend} works with. */
export interface SqliteBackendOptions {
  readonly path: string
  readonly driver: SqliteDriverName | 'auto'
  readonly busyTimeoutMs: number
  readonly clock: Clock
  readonly files: FileOps
  /** Whether the database is known to have been there, so that a missing one is a loss. */
  readonly mustExist?: boolean | undefined
}

/** Records in a SQLite database, which several processes of a machine may share. */
export class SqliteBackend implements Backend {
  readonly scope: Scope = 'machine'
  readonly log: ChangeLog
  readonly #options: SqliteBackendOptions
  readonly #queue = new CommitQueue(MAX_GROUP, (group) => this.#writeGroup(group))
  readonly #hints: SqliteHints
  readonly #turn: SqliteTurn
  #driver: SqliteDriver | undefined
  #open: Open | undefined
  #opening: Promise<Open> | undefined
  /** Whether the database was there before: then a missing file is a loss, not a beginning. */
  #wasOpen: boolean
  /** Whether a statement said that the database is damaged, so that it must be looked at before it is used again. */
  #isSuspect = false
  #isClosed = true
  #busyWaits = 0
  #announce: Announce<StorageEvents> = () => undefined
  #failure: string | undefined

  constructor(options: SqliteBackendOptions) {
    this.#options = options
    this.#wasOpen = options.mustExist ?? false
    this.#turn = new SqliteTurn(options.clock)
    this.#hints = new SqliteHints(options.clock, () => this.#readDataVersion(), watchLogOf(options.path))
    this.log = {
      changes: (cursor, limit) => this.#read(({ log }) => log.read(cursor, limit)),
      onHint: (wake) => this.#hints.add(wake),
    }
  }

  async open(announce: Announce<StorageEvents>): Promise<void> {
    this.#announce = announce
    this.#driver ??= findDriver(this.#options.driver)
    this.#isClosed = false
    await this.#patiently(() => undefined)
  }

  async close(): Promise<void> {
    await this.#queue.flushing
    this.#isClosed = true
    await this.#opening?.catch(() => undefined)
    const open = this.#open
    this.#open = undefined
    await open?.file.close()
  }

  /** Answers at once, as nearly every read can, and without a detour: this is what is asked most. */
  async read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    const open = this.#open
    if (open === undefined) return this.#read((other) => other.statements.findMany(collection, keys, now))
    try {
      open.file.confirmNowAndThen()
      return open.statements.findMany(collection, keys, now)
    } catch (error) {
      if (failureOf(error) !== 'busy') throw await this.#drop(open, error, 'no')
      return this.#read((other) => other.statements.findMany(collection, keys, now))
    }
  }

  page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    return this.#read(({ statements }) => statements.page(collection, range, now))
  }

  count(collection: string, prefix: string, now: number): Promise<number> {
    return this.#read(({ statements }) => statements.count(collection, prefix, now))
  }

  collections(now: number): Promise<string[]> {
    return this.#read(({ statements }) => statements.collections(now))
  }

  commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    return this.#queue.add(mutations, now)
  }

  async health(): Promise<StorageHealth> {
    await this.#patiently(({ file, statements }) => {
      file.confirm('no')
      statements.find('$health', 'k', 0)
    })
    // Nothing but a write tells whether writing works again.
    if (this.#failure !== undefined) await this.#prove()
    return { status: 'up', reason: `${this.#options.path} is open.` }
  }

  /** SQLite looks at its pages in one go, which blocks the event loop; the records are then read in slices. */
  async check(signal: AbortSignal | undefined): Promise<readonly string[]> {
    const problems = await this.#read(({ file }) => listDamage(file))
    const found = problems.map((problem) => `SQLite reports: ${problem}.`)
    // Records of a damaged file may lead in a circle.
    if (found.length > 0) return found
    for (let place: Place | undefined = { collection: '', key: '' }; place !== undefined;) {
      signal?.throwIfAborted()
      const from: Place = place
      const page = await this.#read(({ check }) => check.page(from))
      found.push(...page.problems)
      place = page.next
      await nextTurn()
    }
    return found
  }

  gauges(): Readonly<Record<string, number>> {
    const { path, files } = this.#options
    return {
      'wal.bytes': files.identify(`${path}-wal`)?.size ?? 0,
      'queue.length': this.#queue.length,
      'busy.waits': this.#busyWaits,
    }
  }

  #read<T>(query: (open: Open) => T): Promise<T> {
    return this.#patiently((open) => {
      open.file.confirmNowAndThen()
      return query(open)
    })
  }

  async #prove(): Promise<void> {
    await this.commit([{ type: 'check', collection: '$health', key: 'k', expected: null }], 0)
  }

  /** At once, as nearly every write can. */
  #writeGroup(group: readonly WaitingCommit[]): Promise<void> | undefined {
    const { isUnderWay } = this.#turn
    const pause = this.#turn.pause()
    const open = this.#open
    if (pause !== undefined || open === undefined) return this.#writePatiently(group, pause)
    try {
      // The look after one write is also the one before the next, until others have had their turn.
      if (isUnderWay) open.transaction.begin()
      else begin(open)
    } catch (error) {
      return failureOf(error) === 'busy' ? this.#writePatiently(group) : this.#giveUp(open, error, 'no')
    }
    return this.#fill(open, group)
  }

  async #writePatiently(group: readonly WaitingCommit[], pause?: Promise<void>): Promise<void> {
    await pause
    const { length } = this.#queue
    try {
      await this.#fill(await this.#patiently(begin), group)
    } catch (error) {
      // Those who came in the meantime wait on; all others have waited as long, and the next group would begin anew.
      if (error instanceof BusyError) this.#queue.reject(length, error)
      throw error
    }
  }

  /** From the BEGIN to the COMMIT nothing is awaited: other code must not slip into the transaction. */
  #fill(open: Open, group: readonly WaitingCommit[]): Promise<void> | undefined {
    const isAlone = group.length === 1
    const [first] = group as readonly [WaitingCommit]
    /** What is wrong, by the commit that has it; nearly always nothing. */
    let failures: Map<WaitingCommit, unknown> | undefined
    let applied: Applied = 'no'
    try {
      if (isAlone) this.#apply(open, first)
      else failures = this.#applyAll(open, group)
      // Only what reaches the disk tells whether the disk takes it again, and a check alone changes nothing.
      if (this.#failure !== undefined) open.file.touch()
      open.upkeep.run(first.now, changesOf(group))
      applied = 'unknown'
      open.transaction.commit()
      open.file.confirmQuickly('unknown')
    } catch (error) {
      open.transaction.rollBack()
      if (isAlone && isAboutCommit(error)) throw this.#translate(error, 'no')
      return this.#giveUp(open, error, applied)
    }
    this.#recover()
    for (const commit of group) {
      if (failures?.has(commit) === true) commit.reject(failures.get(commit))
      else commit.resolve('primary')
    }
    this.#hints.wakeAll()
    return undefined
  }

  /** Uses the database; while another process has it, waits without blocking the event loop. */
  async #patiently<T>(use: (open: Open) => T): Promise<T> {
    const { clock, busyTimeoutMs, path } = this.#options
    const startedAt = clock.monotonic()
    for (;;) {
      let open = this.#open
      try {
        open ??= await this.#use()
        return use(open)
      } catch (error) {
        if (failureOf(error) !== 'busy') throw open === undefined ? error : await this.#drop(open, error, 'no')
        const waitedMs = clock.monotonic() - startedAt
        if (waitedMs >= busyTimeoutMs) throw new BusyError(path, waitedMs, { cause: error })
      }
      this.#busyWaits++
      const letGo = holdProcess()
      await new Promise<void>((resolve) => clock.after(randomInt(...RETRY_MS), resolve))
      letGo()
    }
  }

  #apply({ statements }: Open, { mutations, now }: WaitingCommit): void {
    statements.judge(mutations, now)
    statements.apply(mutations)
  }

  /**
   * Each caller's part of the transaction; what is wrong with one harms no neighbour.
   *
   * @returns what is wrong, by the commit that has it
   */
  #applyAll(open: Open, group: readonly WaitingCommit[]): Map<WaitingCommit, unknown> {
    const failures = new Map<WaitingCommit, unknown>()
    let safe: Mutation[] = []
    for (const commit of group) {
      const { mutations } = commit
      if (isSafe(mutations)) {
        safe.push(mutations[0] as Mutation)
        continue
      }
      open.statements.apply(safe)
      safe = []
      try {
        // A way back costs a copy of every page that is changed. One change needs none, since what is wrong with it is found
        // before anything of it is written.
        if (mutations.length === 1) this.#apply(open, commit)
        else open.transaction.part(() => this.#apply(open, commit))
      } catch (error) {
        if (!isAboutCommit(error)) throw error
        failures.set(commit, this.#translate(error, 'no'))
      }
    }
    open.statements.apply(safe)
    return failures
  }

  /** The database, open; after a failure it is opened anew, at first use. */
  async #use(): Promise<Open> {
    if (this.#isClosed) throw new UnavailableError(`${this.#options.path} is closed`)
    if (this.#open !== undefined) return this.#open
    this.#opening ??= this.#reopen().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  async #reopen(): Promise<Open> {
    const { path, files, clock } = this.#options
    const driver = this.#driver ?? findDriver(this.#options.driver)
    const state = { mayCreate: !this.#wasOpen, isSuspect: this.#isSuspect }
    try {
      const file = await SqliteFile.open({ path, files, driver, clock, announce: this.#announce, ...state })
      this.#open = prepare(file)
      this.#wasOpen = true
      this.#isSuspect = false
      return this.#open
    } catch (error) {
      if (failureOf(error) === 'busy') throw error
      const failure = this.#translate(error, 'no')
      this.#fail(failure)
      throw failure
    }
  }

  async #giveUp(open: Open, error: unknown, applied: Applied): Promise<never> {
    throw await this.#drop(open, error, applied)
  }

  /** Lets go of a database that failed, unless that was done, and says what its failure means. */
  async #drop(open: Open, error: unknown, applied: Applied): Promise<unknown> {
    const failure = this.#translate(error, applied)
    if (this.#open === open) {
      this.#open = undefined
      this.#fail(failure)
      // First: others may open it anew while this one is being closed.
      if (failureOf(error) === 'corrupt') this.#isSuspect = true
      if (error instanceof UnavailableError) await open.file.abandon()
      else await open.file.close()
    }
    if (!this.#isSuspect) return failure
    // So that damage is set aside now, and not when somebody happens to come by.
    const found: unknown = await this.#use().catch((reason: unknown) => reason)
    return found instanceof CorruptError && applied === 'no' ? found : failure
  }

  #translate(error: unknown, applied: Applied): unknown {
    if (error instanceof StorageError) return error
    const { path } = this.#options
    if (failureOf(error) === 'corrupt') {
      const remedy = 'it is looked at as a whole now, and the event "quarantined" tells where it was set aside'
      return new CorruptError(path, 'is damaged', applied, { cause: error, remedy })
    }
    const why = error instanceof Error ? error.message : String(error)
    return new UnavailableError(`${path} cannot be used (${why})`, applied, { cause: error })
  }

  #readDataVersion(): number | undefined {
    try {
      return this.#open?.readDataVersion()
    } catch {
      // Whoever reads or writes next is told of it.
      return undefined
    }
  }

  #fail(error: unknown): void {
    // Others are only using it.
    if (error instanceof BusyError) return
    const why = error instanceof Error ? error.message : String(error)
    const isNews = this.#failure === undefined
    this.#failure = why
    if (!isNews) return
    const message = `The database ${this.#options.path} cannot be used: ${why}.`
    this.#announce('change', { what: 'sqlite', from: 'up', to: 'down', why, severity: 'CRITICAL', message })
  }

  #recover(): void {
    if (this.#failure === undefined) return
    this.#failure = undefined
    const message = `The database ${this.#options.path} can be used again.`
    const why = 'a write succeeded'
    this.#announce('change', { what: 'sqlite', from: 'down', to: 'up', why, severity: 'INFO', message })
  }
}

/** Whether it is the fault of what was to be written, and not of the database. */
function isAboutCommit(error: unknown): boolean {
  return error instanceof ConflictError || failureOf(error) === 'value'
}

function changesOf(group: readonly WaitingCommit[]): number {
  let changes = 0
  for (const { mutations } of group) changes += mutations.length
  return changes
}

/** Whether nothing can be wrong with it, so that it may be written in one go with those of others. */
function isSafe(mutations: readonly Mutation[]): boolean {
  const [first] = mutations
  if (mutations.length !== 1 || first?.type !== 'put') return false
  return first.expected === undefined && first.json.length <= SAFE_CHARACTERS
}

function begin(open: Open): Open {
  open.file.confirmQuickly('no')
  open.transaction.begin()
  return open
}

function prepare(file: SqliteFile): Open {
  const { database } = file
  const statements = new SqliteStatements(database)
  const log = new SqliteChangeLog(database)
  const dataVersion = database.prepare('PRAGMA data_version')
  return {
    file,
    statements,
    transaction: new SqliteTransaction(database),
    log,
    upkeep: new SqliteUpkeep(statements, log),
    check: new SqliteCheck(database),
    readDataVersion: () => (dataVersion.get() as { data_version: number }).data_version,
  }
}

/** Damage that is too great to look at is damage all the same. */
function listDamage({ database }: SqliteFile): readonly string[] {
  try {
    return examine(database, 'integrity')
  } catch (error) {
    if (failureOf(error) !== 'corrupt') throw error
    return [error instanceof Error ? error.message : String(error)]
  }
}
