import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import type { FailoverStorageOptions } from '../failover/failover-options.js'
import { FailoverStorage } from '../failover/failover-storage.js'
import { MemoryStorage } from '../memory-storage.js'
import type { Storage } from '../storage.js'
import { CrashFiles, type CrashKind } from './crash-files.js'

/** The steps of a story about an outage. Everything is in memory and on one clock, so nothing waits. */
export class FailoverStory {
  readonly clock: FakeClock
  readonly files = new CrashFiles()
  /** The primary itself, which also others may write to. */
  inner: Storage
  /** The way to the primary. */
  faulty: FaultyStorage<Storage>
  storage: FailoverStorage
  readonly events: string[] = []
  readonly #options: Partial<FailoverStorageOptions>

  constructor(
    inner: Storage | undefined = undefined,
    clock: FakeClock = new FakeClock(),
    options: Partial<FailoverStorageOptions> = {},
  ) {
    this.clock = clock
    this.#options = { ...options }
    this.inner = inner ?? new MemoryStorage({ clock: this.clock })
    this.faulty = new FaultyStorage(this.inner, { clock: this.clock })
    this.storage = this.#make()
  }

  get notes() {
    return this.storage.collection<unknown>('notes')
  }

  get primaryNotes() {
    return this.inner.collection<unknown>('notes')
  }

  /** Opens the storage and lets the copy be completed. */
  async begin(): Promise<void> {
    await this.storage.start()
    await this.clock.advance(0)
  }

  /** The primary answers again, and enough time passes for the replay. */
  async recover(): Promise<void> {
    this.faulty.up()
    await this.clock.advance(20_000)
  }

  /** The process is killed, and another one is started in its place. */
  restart(kind: CrashKind = 'kill', options: Partial<FailoverStorageOptions> = {}): void {
    this.files.reboot(kind)
    Object.assign(this.#options, options)
    this.storage = this.#make()
  }

  /** New calls get through again; those that hang still hang. */
  thaw(): void {
    this.faulty = new FaultyStorage(this.inner, { clock: this.clock })
  }

  /** Another database answers under the address of the primary. */
  replacePrimary(inner: Storage): void {
    this.inner = inner
    this.thaw()
  }

  /** At this call of the primary the process is killed, before or after it takes effect. */
  killAtCall = Infinity
  killWhen: 'before' | 'after' = 'before'
  #life = { isOver: false, calls: 0 }

  /** Whether the process was killed, by the disk or at a call. */
  get isKilled(): boolean {
    return this.#life.isOver || this.files.isDead
  }

  get calls(): number {
    return this.#life.calls
  }

  #make(): FailoverStorage {
    this.#life.isOver = true
    const life = { isOver: false, calls: 0 }
    this.#life = life
    this.killAtCall = Infinity
    const own = { primary: this.#primary(life), clock: this.#clock(life) }
    const options = { path: '/local', writers: 'one', ...this.#options, ...own } as const
    const storage = new FailoverStorage(options, this.#disk(life))
    for (const event of ['change', 'replayed', 'conflict', 'diverged', 'fenced'] as const) {
      storage.on(event, (news: { what: string; to: string }) => {
        if (!life.isOver) this.events.push(event === 'change' ? `${news.what} ${news.to}` : event)
      })
    }
    return storage
  }

  /** Nothing that a dead process planned happens. */
  #clock(life: { isOver: boolean }): FakeClock {
    const after = (delayMs: number, run: () => void): (() => void) =>
      this.clock.after(delayMs, () => {
        if (!life.isOver && !this.files.isDead) run()
      })
    return new Proxy(this.clock, {
      get: (clock, name) => {
        const value: unknown = name === 'after' ? after : Reflect.get(clock, name, clock)
        return typeof value === 'function' ? (value.bind(clock) as unknown) : value
      },
    })
  }

  #disk(life: { isOver: boolean }): CrashFiles {
    return new Proxy(this.files, {
      get: (files, name) => {
        const value: unknown = Reflect.get(files, name, files)
        if (typeof value !== 'function') return value
        const method = value.bind(files) as (...parameters: unknown[]) => unknown
        if (name === 'identify') return method
        return (...parameters: unknown[]) => (life.isOver ? NEVER : method(...parameters))
      },
    })
  }

  /** Looked up at each call, so that the way to the primary can be replaced while the storage runs. */
  #primary(life: { isOver: boolean; calls: number }): Storage {
    const counted =
      (method: (...parameters: unknown[]) => unknown) =>
      async (...parameters: unknown[]): Promise<unknown> => {
        if (life.isOver || this.files.isDead) return NEVER
        if (++life.calls < this.killAtCall) return method(...parameters)
        if (this.killWhen === 'after') await method(...parameters)
        life.isOver = true
        return NEVER
      }
    return new Proxy(this.inner, {
      get: (_, name) => {
        const storage = this.faulty.storage
        const value: unknown = Reflect.get(storage, name)
        if (typeof value !== 'function') return value
        const method = value as (...parameters: unknown[]) => unknown
        if (name === 'collection') return (of: string) => countCollection(storage.collection(of), counted)
        return counted(method)
      },
    })
  }
}

const NEVER = new Promise<never>(() => undefined)

/** Of what the failover calls, only `scan` is no promise; it is not counted. */
function countCollection(
  collection: object,
  counted: (method: (...parameters: unknown[]) => unknown) => unknown,
): unknown {
  return new Proxy(collection, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function' || name === 'scan') return value
      return counted(value as (...parameters: unknown[]) => unknown)
    },
  })
}
