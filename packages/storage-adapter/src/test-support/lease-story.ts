import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Storage } from '../storage.js'
import { startChild } from './child.js'
import { openShared, type Shared } from './lease-store.js'
import { below, randomFrom, type Random } from './random.js'

const SEED = Number(process.env['EVENKEEL_SEED'] ?? Math.floor(Math.random() * 2 ** 32))

/** How often a holder is frozen and another killed; `EVENKEEL_KILLS=1000` for a long night. */
const KILLS = Number(process.env['EVENKEEL_KILLS'] ?? 2)

/** A process that competes, and what it has said so far. */
class Child {
  readonly pid: number
  readonly ended: Promise<number | null>
  readonly #process: ChildProcess
  readonly #lines: string[] = []
  readonly #listeners = new Set<(line: string) => void>()
  stderr = ''

  constructor(...parameters: string[]) {
    this.#process = startChild('lease-child.ts', ...parameters)
    this.pid = this.#process.pid ?? 0
    this.ended = new Promise((resolve) => this.#process.once('close', resolve))
    this.#process.stderr?.on('data', (text: Buffer) => (this.stderr += text.toString()))
    if (this.#process.stdout === null) throw new Error('the child has no output')
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      this.#lines.push(line)
      for (const listener of this.#listeners) listener(line)
    })
  }

  /** What it said that begins with a word, each split into its words. */
  said(word: string): string[][] {
    return this.#lines.map((line) => line.split(' ')).filter(([first]) => first === word)
  }

  /** What it said last. */
  get last(): string | undefined {
    return this.#lines.at(-1)
  }

  /** Waits until it has said that many lines that begin with a word from now on. */
  async says(word: string, times = 1): Promise<void> {
    let left = times
    await new Promise<void>((resolve, reject) => {
      const listen = (line: string): void => {
        if (line.startsWith(word)) left -= 1
        if (left > 0) return
        this.#listeners.delete(listen)
        resolve()
      }
      this.#listeners.add(listen)
      void this.ended.then((code) => reject(new Error(`ended with ${code} before it said ${word}: ${this.stderr}`)))
    })
  }

  async ready(): Promise<this> {
    if (this.said('READY').length === 0) await this.says('READY')
    return this
  }

  begin(): void {
    this.signal('SIGUSR2')
  }

  /** Lets it stand still at the worst moment, before its next write. */
  freeze(): void {
    this.signal('SIGUSR2')
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }
}

/**
 * What holds for processes that share a storage of this kind, in which they hold leases and run jobs.
 *
 * @param newAddress - where a fresh one is, and what removes it
 */
export function sharedBy(
  kind: Shared,
  newAddress: () => Promise<{ address: string; remove: () => Promise<void> }>,
): void {
  let address: string
  let remove: () => Promise<void>
  let storage: Storage
  let children: Child[]

  beforeEach(async () => {
    ;({ address, remove } = await newAddress())
    storage = await openShared(kind, address)
    children = []
  })
  afterEach(async () => {
    for (const child of children) child.signal('SIGKILL')
    await Promise.all(children.map((child) => child.ended))
    await storage.stop()
    await remove()
  })

  function start(what: string, detail = ''): Child {
    const child = new Child(what, kind, address, detail)
    children.push(child)
    return child
  }

  /** One of them that holds the lease now, after it has held it for a while. */
  function holderAmong(team: readonly Child[], random: Random): Promise<Child> {
    const writes = 1 + below(random, 20)
    return Promise.race(team.map((child) => child.says('WROTE', writes).then(() => child)))
  }

  async function expectOneOwnerAtATime(team: readonly Child[]): Promise<void> {
    const log: { n: number; token: number; pid: number }[] = []
    for await (const { key, value } of storage.collection<{ token: number; pid: number }>('log').scan()) {
      log.push({ n: Number(key), ...value })
    }
    const last = (await storage.collection<number>('numbers').get('n')) ?? 0
    expect(log.map(({ n }) => n)).toEqual(Array.from({ length: last }, (_, i) => i + 1))
    // No write of an earlier term comes after one of a later term, and each term has one owner.
    const owners = new Map<number, number>()
    for (const [i, { token, pid }] of log.entries()) {
      expect(token).toBeGreaterThanOrEqual(log[i - 1]?.token ?? 1)
      expect(owners.get(token) ?? pid).toBe(pid)
      owners.set(token, pid)
    }
    // What was acknowledged is there, as whoever was told so had written it.
    for (const { pid, wrote } of team.map((child) => ({ pid: child.pid, wrote: child.said('WROTE') }))) {
      for (const [, n, token] of wrote) expect(log[Number(n) - 1]).toEqual({ n: Number(n), token: Number(token), pid })
    }
  }

  it(
    `neither loses nor doubles a fenced write while its holders are killed and frozen (seed ${SEED})`,
    { timeout: 20_000 + KILLS * 2_000 },
    async () => {
      const random = randomFrom(SEED)
      const team = await Promise.all([0, 1, 2].map(() => start('count').ready()))
      let alive = [...team]
      for (const child of alive) child.begin()
      for (let i = 0; i < KILLS; i++) {
        const starting = start('count').ready()
        const frozen = await holderAmong(alive, random)
        frozen.freeze()
        await frozen.says('FREEZES')
        const holder = await holderAmong(alive, random)
        expect(holder).not.toBe(frozen)
        frozen.signal('SIGCONT')
        await frozen.says('')
        expect(frozen.last).toMatch(/^REFUSED/)
        holder.signal('SIGKILL')
        await holder.ended
        const fresh = await starting
        fresh.begin()
        team.push(fresh)
        alive = [...alive.filter((child) => child !== holder), fresh]
      }
      for (const child of alive) child.signal('SIGTERM')
      expect(await Promise.all(alive.map((child) => child.ended))).toEqual([0, 0, 0])
      expect(alive.map((child) => child.stderr)).toEqual(['', '', ''])
      await expectOneOwnerAtATime(team)
      // Whoever woke up knew at once that the lease was gone, and the store knew, too.
      const refused = team.flatMap((child) => child.said('REFUSED'))
      expect(refused).toEqual(refused.map(() => ['REFUSED', 'STORAGE_CONFLICT', 'held=false']))
      expect(refused.length).toBeGreaterThanOrEqual(KILLS)
    },
  )

  /** Which jobs there are, each process asking in an order of its own. */
  const jobs = Array.from({ length: 25 }, (_, i) => `job-${i}`)
  function order(i: number): string {
    return [...jobs.slice(i * 6), ...jobs.slice(0, i * 6)].join(',')
  }

  async function marks(): Promise<{ begun: Map<string, number>; ended: Map<string, number> }> {
    const begun = new Map<string, number>()
    const ended = new Map<string, number>()
    for await (const { key } of storage.collection('marks').scan()) {
      const [id = '', , , end] = key.split(' ')
      const map = end === undefined ? begun : ended
      map.set(id, (map.get(id) ?? 0) + 1)
    }
    return { begun, ended }
  }

  it('runs each of 25 jobs exactly once among 4 processes', { timeout: 30_000 }, async () => {
    const team = await Promise.all([0, 1, 2, 3].map((i) => start('jobs', order(i)).ready()))
    for (const child of team) child.begin()
    await Promise.all(team.map((child) => child.ended))
    expect(team.map((child) => child.stderr)).toEqual(['', '', '', ''])
    const { begun, ended } = await marks()
    expect([...begun.values(), ...ended.values()]).toEqual(new Array(50).fill(1))
    expect(begun.size).toBe(25)
    const outcomes = team.flatMap((child) => child.said('OUTCOME').map(([, , status]) => status))
    expect(outcomes.filter((status) => status === 'ran')).toHaveLength(25)
    expect(outcomes.filter((status) => status === 'done' || status === 'running')).toHaveLength(75)
  })

  it(
    'runs each job at least once when processes are killed in the middle, and counts the attempts',
    { timeout: 30_000 },
    async () => {
      const team = await Promise.all([0, 1, 2, 3].map((i) => start('jobs-of-the-dead', order(i)).ready()))
      const [first, second, ...others] = team as [Child, Child, ...Child[]]
      for (const child of team) child.begin()
      await Promise.all(
        [first, second].map(async (child, i) => {
          await child.says('BEGAN', i + 1)
          child.signal('SIGKILL')
        }),
      )
      await Promise.all(others.map((child) => child.ended))
      expect(others.map((child) => child.stderr)).toEqual(['', ''])
      const { begun, ended } = await marks()
      let repeated = 0
      for (const id of jobs) {
        const record = await storage
          .collection<{ run: { state: string; attempt: number } }>('evenkeel')
          .get(`run/${id}`)
        expect(record?.run.state).toBe('done')
        // A process may die after it wrote its attempt down, and before it began.
        expect(record?.run.attempt).toBeGreaterThanOrEqual(begun.get(id) ?? 0)
        expect(ended.get(id) ?? 0).toBeGreaterThanOrEqual(1)
        if ((record?.run.attempt ?? 0) > 1) repeated += 1
      }
      expect(repeated).toBeGreaterThanOrEqual(1)
    },
  )
}
