import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStorage, MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Migration } from '../probes.js'
import {
  botData,
  exitCodeOf,
  NotIsolatedError,
  rehearsalMarkdown,
  type RehearsalOptions,
  type RehearsalReport,
  rehearse,
} from '../rehearsal.js'
import { writeRows } from '../migration/snapshot.js'
import { bundleChild } from '../test-support/bundle-child.js'
import { randomFrom } from './random.js'

interface Guild {
  readonly name?: string
  readonly zone?: string
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-rehearse-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const data = botData({ guilds: 6, maxMembers: 12, maxReminders: 8 })

/** Each guild gets a zone. Idempotent, undone exactly, and lets no write of the bot be lost. */
function addZone(storage: Storage): Migration {
  const guilds = storage.collection<Guild>('guilds')
  return {
    async up() {
      for await (const { key, value } of guilds.scan()) {
        if (typeof value !== 'object' || value === null || Array.isArray(value))
          throw new TypeError(`${key} is no guild`)
        await guilds.update(key, (guild) => ('zone' in guild ? guild : { ...guild, zone: 'UTC' }))
      }
    },
    async down() {
      for await (const { key, value } of guilds.scan()) {
        if (value?.zone === 'UTC') await guilds.update(key, ({ zone: _, ...guild }) => guild)
      }
    },
  }
}

async function rehearsed(
  migration: (storage: Storage) => Migration,
  options: Partial<RehearsalOptions<Storage>> = {},
): Promise<RehearsalReport> {
  return rehearse<Storage>({
    copy: () => new MemoryStorage(),
    ...(options.source === undefined ? { generate: data } : {}),
    folder,
    migration,
    runs: 2,
    maxCrashes: 8,
    maxCrashRows: 6,
    ...options,
  })
}

/** What a step found, or the outcome of it. */
function step(report: RehearsalReport, name: string): string {
  const { outcome, why } = report.steps.find((each) => each.name === name) ?? { outcome: 'none', why: '' }
  return `${outcome}: ${why}`
}

async function realBot<S extends Storage>(storage: S): Promise<S> {
  await writeRows(storage, data(randomFrom(42)), new AbortController().signal)
  await storage.collection('guilds').set('81384788765712384', { id: '81384788765712384', name: 'Secret Society' })
  return storage
}

describe('rehearse', () => {
  it.each([
    ['SQLite', (at: string) => new SqliteStorage({ path: join(at, 'bot.db') })],
    ['file', (at: string) => new FileStorage({ path: join(at, 'bot') })],
  ])(
    'rehearses a good migration on real data of a %s storage under other names, and leaves nothing',
    async (_, make) => {
      const [home, copies] = [join(folder, 'home'), join(folder, 'copies')]
      for (const path of [home, copies]) mkdirSync(path)
      const source: Storage = await realBot(make(home))
      const report = await rehearsed(addZone, {
        source,
        sourcePath: home,
        folder: copies,
        copy: make,
        maxCrashes: 3,
        anonymize: {
          keep: ['settings.locale', 'settings.prefix', 'guilds.features.*'],
          userKeys: ['settings.aliases'],
          allow: ['constructor', 'tostring'],
        },
        mayChange: ['guilds'],
        invariants: {
          'each member has a guild': async (storage) => {
            const guilds = storage.collection('guilds')
            for await (const { key } of storage.collection('members').scan()) {
              if (!(await guilds.has(key.split(':')[0]!))) throw new Error(`${key} has none`)
            }
          },
        },
        limits: { maxUpMs: 60_000, maxDownMs: 60_000, maxPauseMs: 60_000, maxReadMs: 60_000, maxGrowthRatio: 2 },
      })
      expect(report.steps.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
      expect(report.steps.map(({ name }) => name)).toEqual([
        'data',
        'no original in the copy',
        'loads',
        'dry run of up',
        'up twice',
        'rollback by down',
        'down twice',
        'up interrupted',
        'half an up undone',
        'down interrupted',
        'changes only what it may',
        'invariants',
        'reads meanwhile',
        'limits',
        'a write fails',
        'a read fails',
        'a row is damaged',
        'the bot writes meanwhile',
        'two run it at once',
        'clean-up',
      ])
      expect([report.outcome, exitCodeOf(report), report.data.kind]).toEqual(['PASSED', 0, 'anonymised'])
      expect(report.extents.afterDown).toEqual(report.extents.before)
      expect(report.data.rows).toBe(report.extents.before!.rows)
      expect(report.data.leaks).toMatchObject({ count: 0 })
      expect(report.data.kept).toMatchObject({ collections: { guilds: { keys: 0, fields: 5 } } })
      expect(rehearsalMarkdown(report)).toMatch(/; \d+ names were kept as they are .*guilds 0 and 5/)
      expect(report.limits.map(({ isMet }) => isMet)).toEqual([true, true, true, true, true])
      expect(readdirSync(copies)).toEqual([])
      expect(await source.collection('guilds').get('81384788765712384')).toEqual({
        id: '81384788765712384',
        name: 'Secret Society',
      })
      // Whoever reads the report learns of nobody.
      const told = JSON.stringify(report) + rehearsalMarkdown(report)
      expect(told).not.toContain('Secret')
      for await (const { key } of source.collection('users').scan()) expect(told).not.toContain(key)
      await source.stop()
    },
  )

  it('makes the same data for the same seed, and other data for another', async () => {
    const hashOf = async (seed?: number): Promise<unknown> =>
      (await rehearsed(addZone, { maxCrashes: 0, ...(seed === undefined ? {} : { seed }) })).extents.before?.hash
    const first = await hashOf()
    expect(first).toMatch(/^[0-9a-f]{64}$/)
    expect([await hashOf(1), (await hashOf(2)) === first]).toEqual([first, false])
  })

  it('refuses the source as its own copy, and does not touch it', async () => {
    const source = await realBot(new MemoryStorage())
    let isStopped = false
    source.stop = async () => void (isStopped = true)
    for (const options of [{ source }, { source, generate: data }]) {
      await expect(rehearsed(addZone, { ...options, copy: () => source })).rejects.toThrow(NotIsolatedError)
    }
    expect([isStopped, readdirSync(folder)]).toEqual([false, []])
  })

  it('refuses the storage of the bot as a copy also where it has no source to compare with, and does not touch it', async () => {
    const bot = await realBot(new MemoryStorage())
    let isStopped = false
    bot.stop = async () => void (isStopped = true)
    await expect(rehearsed(addZone, { copy: () => bot })).rejects.toThrow('it already holds')
    const fresh = new MemoryStorage()
    await expect(rehearsed(addZone, { copy: () => fresh })).rejects.toThrow('the same store was made twice')
    const path = join(folder, 'bot.db')
    await expect(rehearsed(addZone, { copy: () => new SqliteStorage({ path }) })).rejects.toThrow('in another copy')
    const onDisk = new SqliteStorage({ path })
    expect([isStopped, await fresh.collections(), await onDisk.collections()]).toEqual([false, [], []])
    await onDisk.stop()
  })

  it('works with no copy in which it finds an original, deletes it, and does not tell what it was', async () => {
    const source = await realBot(new MemoryStorage())
    await source.collection('users').set('53908099506183680', { name: 'Secret Society' })
    const copies: MemoryStorage[] = []
    let hasRun = false
    const report = await rehearsed(
      () => ({
        async up() {
          hasRun = true
        },
      }),
      {
        source,
        anonymize: { keep: ['guilds.name'] },
        copy: () => copies[copies.push(new MemoryStorage()) - 1]!,
      },
    )
    // What was replaced in one place and kept in another is still known.
    expect([report.outcome, hasRun]).toEqual(['FAILED', false])
    expect(step(report, 'no original in the copy')).toMatch(/^failed: \d+ strings hold an original: guilds\.name/)
    expect(step(report, 'all else')).toBe('skipped: the copy was not to be worked with')
    // One that was written, and one that showed that it is another.
    expect([copies.length, readdirSync(folder)]).toEqual([2, []])
    expect(rehearsalMarkdown(report)).toContain('text (plain) in guilds name')
    expect(JSON.stringify(report)).not.toContain('Secret')
  })

  it('finds a write whose failure is swallowed, and one that is doubled when the answer was lost', async () => {
    const swallowing = await rehearsed((storage) => ({
      async up() {
        for (const key of ['a', 'b'])
          await storage
            .collection('marks')
            .set(key, 1)
            .catch(() => undefined)
      },
    }))
    expect(step(swallowing, 'a write fails')).toMatch(
      /^failed: up with call 1 of 2 as a refused write: 1 row differs: marks\/a removed/,
    )
    const doubling = await rehearsed((storage) => {
      const marks = storage.collection<number>('marks')
      const add = (): Promise<unknown> => marks.update('count', (count) => count + 1, { initial: 0 })
      return {
        async up() {
          if ((await marks.get('count')) === undefined) await add().catch(add)
        },
      }
    })
    expect(step(doubling, 'a write fails')).toMatch(/as a lost answer: 1 row differs: marks\/count changed/)
  })

  it('finds a row that is skipped when it cannot be read', async () => {
    const report = await rehearsed((storage) => ({
      async up() {
        const [guilds, marks] = [storage.collection('guilds'), storage.collection('marks')]
        for await (const { key } of guilds.scan()) {
          const guild = await guilds.get(key).catch(() => undefined)
          if (guild !== undefined) await marks.set(key, 1)
        }
      },
    }))
    expect(step(report, 'a write fails')).toMatch(/^passed/)
    expect(step(report, 'a read fails')).toMatch(/as a failed read: 1 row differs: marks\/\d+ removed/)
  })

  it('finds rows that are skipped when a scan ends early', async () => {
    const report = await rehearsed((storage) => ({
      async up() {
        try {
          for await (const { key } of storage.collection('guilds').scan()) await storage.collection('marks').set(key, 1)
        } catch (error) {
          if (!(error as Error).message.includes('failed read')) throw error
        }
      },
    }))
    expect(step(report, 'a write fails')).toMatch(/^passed/)
    expect(step(report, 'a read fails')).toMatch(/as a failed read: \d rows differ: marks\/\d+ removed/)
  })

  it('finds a down that makes of a damaged row another one', async () => {
    const report = await rehearsed((storage) => {
      const guilds = storage.collection<Guild>('guilds')
      return {
        async up() {
          for await (const { key, value } of guilds.scan()) await guilds.set(key, { ...value, zone: 'UTC' })
        },
        async down() {
          for await (const { key, value } of guilds.scan()) {
            const { zone: _, ...guild } = Object(value) as Guild
            await guilds.set(key, guild)
          }
        },
      }
    })
    expect(step(report, 'rollback by down')).toMatch(/^passed/)
    expect(step(report, 'a row is damaged')).toMatch(/^failed: guilds\/\d+ as null: 1 row differs: guilds\/\d+ changed/)
    expect(report.differences['a row is damaged']).toHaveLength(1)
  })

  it('finds writes of the bot that are lost between a read and a write, in up, in down and in a batch', async () => {
    const guildsOf = async (storage: Storage): Promise<(readonly [string, Guild])[]> => {
      const rows: [string, Guild][] = []
      for await (const { key, value } of storage.collection<Guild>('guilds').scan()) rows.push([key, value])
      return rows
    }
    const { up, down } = addZoneBy(guildsOf)
    const lost = /ended neither as if made before nor after it: guilds\/\d+/
    const careful = (storage: Storage): Migration => addZone(storage)
    const inUp = await rehearsed((storage) => ({ ...careful(storage), up: () => up(storage) }))
    expect(step(inUp, 'the bot writes meanwhile')).toMatch(lost)
    expect(step(inUp, 'the bot writes meanwhile')).toMatch(/^failed: up: of 6 writes/)
    const inDown = await rehearsed((storage) => ({ ...careful(storage), down: () => down(storage) }))
    expect(step(inDown, 'the bot writes meanwhile')).toMatch(/^failed: down: of 6 writes/)
    const inBatch = await rehearsed((storage) => ({
      ...careful(storage),
      async up() {
        const rows = await guildsOf(storage)
        await storage.batch(
          rows.map(([key, guild]) => ({ type: 'set', collection: 'guilds', key, value: { zone: 'UTC', ...guild } })),
        )
      },
    }))
    expect(step(inBatch, 'the bot writes meanwhile')).toMatch(/^failed: up: of 6 writes/)
  })

  it('has the bot write each row once, so that a migration may do so twice', async () => {
    const report = await rehearsed((storage) => {
      const guilds = storage.collection<Guild & { checked?: boolean }>('guilds')
      return {
        async up(context) {
          await addZone(storage).up(context)
          for await (const { key, value } of guilds.scan()) {
            if (value.zone === 'UTC') await guilds.update(key, (guild) => ({ ...guild, checked: true }))
          }
        },
      }
    })
    expect(step(report, 'the bot writes meanwhile')).toBe('passed: up: none of 6 writes of the bot is lost')
  })

  it('asks what the bot writes, where it is told', async () => {
    const asked: string[] = []
    const report = await rehearsed(addZone, {
      rewrite: ({ collection, key, value }) => {
        asked.push(`${collection}/${key}`)
        return { ...(value as Guild), name: 'renamed' }
      },
    })
    expect(step(report, 'the bot writes meanwhile')).toBe(
      'passed: up: none of 6 writes of the bot is lost; down: none of 6 writes of the bot is lost',
    )
    expect(asked).toHaveLength(12)
    const none = await rehearsed(addZone, { rewrite: () => undefined })
    expect(step(none, 'the bot writes meanwhile')).toContain('up writes no row that the bot has')
  })

  it('lets what the bot writes be found out by an async function', async () => {
    const report = await rehearsed(addZone, {
      rewrite: async ({ value }) => ({ ...(value as Guild), name: 'renamed' }),
    })
    expect(step(report, 'the bot writes meanwhile')).toMatch(/^passed: up: none of 6 writes of the bot is lost/)
  })

  it.each<[string, RehearsalOptions<Storage>['rewrite'] & object, string]>([
    ['throws', () => Promise.reject(new Error('no such guild')), 'no such guild'],
    ['gives what is no JSON', ({ value }) => ({ ...(value as Guild), editedAt: new Date() }), 'editedAt'],
  ])('takes a rewrite that %s for no refusal of the migration', async (_, rewrite, why) => {
    const found = step(await rehearsed(addZone, { rewrite }), 'the bot writes meanwhile')
    expect(found).toMatch(
      /^failed: the bot could not write guilds\/\d+: .*; give in rewrite a JSON value, or undefined/,
    )
    expect(found).toContain(why)
  })

  describe('of a row that expires meanwhile', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
    afterEach(() => void vi.useRealTimers())

    const rowsUntil = (expiresAt: number): RehearsalOptions<Storage>['generate'] => {
      const guilds = ['1', '2'].map((key) => ({ collection: 'guilds', key, value: { name: 'Tea' } }))
      return () => [...guilds, { collection: 'sessions', key: 's', value: 1, expiresAt }]
    }

    it('says not that a write of the bot is lost', async () => {
      const expiresAt = Date.now() + 60_000
      let isWritten = false
      const report = await rehearsed(
        (storage) => ({
          async up(context) {
            if (isWritten) vi.setSystemTime(expiresAt + 1)
            await addZone(storage).up(context)
          },
        }),
        {
          scenarios: ['concurrency'],
          generate: rowsUntil(expiresAt),
          rewrite: ({ value }) => {
            isWritten = true
            return { ...(value as Guild), name: 'renamed' }
          },
        },
      )
      expect(step(report, 'the bot writes meanwhile')).toBe('passed: up: none of 2 writes of the bot is lost')
    })

    it('says not that it is lost to a damaged one, and damages it no more', async () => {
      const expiresAt = Date.now() + 60_000
      const report = await rehearsed(
        (storage) => ({
          async up() {
            for await (const { key, value } of storage.collection<Guild>('guilds').scan()) {
              if (value?.name === undefined) {
                vi.setSystemTime(expiresAt + 1)
                throw new Error(`${key} is no guild`)
              }
            }
          },
        }),
        { scenarios: ['corruption'], generate: rowsUntil(expiresAt), maxCrashes: 50 },
      )
      expect(step(report, 'a row is damaged')).toMatch(/^passed: 10 damages/)
    })
  })

  it('tells of a read that fails while up runs, and cleans up', async () => {
    let isWatched = false
    let read = (): void => {}
    const hasRead = new Promise<void>((resolve) => (read = resolve))
    class Busy extends MemoryStorage {
      override collection(name: string): never {
        const rows = super.collection(name)
        const get = rows.get.bind(rows)
        const failing = async (key: string): Promise<unknown> => {
          if (!isWatched) return get(key)
          read()
          throw new Error('no answer within 1000 ms')
        }
        return Object.assign(rows, { get: failing }) as never
      }
    }
    const report = await rehearsed(
      () => ({
        async up() {
          if (!isWatched) return
          await hasRead
          // A rejection that nobody handles would be told by now.
          await new Promise((resolve) => setImmediate(resolve))
        },
      }),
      {
        copy: () => new Busy(),
        maxCrashes: 0,
        onProgress: ({ step: name }) => void (isWatched = name === 'reads meanwhile'),
      },
    )
    expect(step(report, 'reads meanwhile')).toBe('failed: a read failed while up ran: no answer within 1000 ms')
    expect([report.outcome, readdirSync(folder)]).toEqual(['FAILED', []])
  })

  it('finds what two that run at once do twice', async () => {
    const report = await rehearsed((storage) => {
      const marks = storage.collection<number>('marks')
      return {
        async up() {
          if (await marks.has('done')) return
          await marks.update('runs', (runs) => runs + 1, { initial: 0 })
          await marks.set('done', 1)
        },
      }
    })
    expect(step(report, 'two run it at once')).toBe('failed: 1 row differs: marks/runs changed')
  })

  it('leaves out the scenarios that are not chosen, and all of them when up does not work', async () => {
    const chosen = await rehearsed(addZone, { scenarios: ['corruption'] })
    expect(step(chosen, 'a row is damaged')).toMatch(/^passed: 8 damages, of which up refused \d+; each rolled back/)
    expect(step(chosen, 'a write fails')).toBe('none: ')
    const broken = await rehearsed(() => ({ up: () => Promise.reject(new Error('no')) }))
    expect(step(broken, 'two run it at once')).toBe('skipped: its up does not work')
    expect(step(await rehearsed(addZone, { maxCrashes: 0 }), 'a read fails')).toBe('skipped: maxCrashes is 0')
  })

  it('tells which limits are broken, and by how much', async () => {
    const report = await rehearsed(
      (storage) => ({
        async up() {
          const began = process.cpuUsage()
          while (process.cpuUsage(began).user + process.cpuUsage(began).system < 60_000);
          await storage.collection('marks').set('x', 'x'.repeat(100_000))
        },
      }),
      {
        scenarios: [],
        maxCrashes: 0,
        limits: { maxUpMs: 5, maxDownMs: 100, maxPauseMs: 5, maxGrowthRatio: 1.1 },
      },
    )
    expect(step(report, 'limits')).toMatch(
      /^failed: maxUpMs 5, found \d+\.\d; maxDownMs 100, found nothing; maxPauseMs 5, found \d+\.\d; maxGrowthRatio 1.1, found /,
    )
    expect(report.limits.map(({ name, isMet }) => [name, isMet])).toEqual([
      ['maxUpMs', false],
      ['maxDownMs', false],
      ['maxPauseMs', false],
      ['maxGrowthRatio', false],
    ])
    expect(rehearsalMarkdown(report)).toMatch(/\| maxUpMs \| 5 \| \d+(\.\d+)? \| broken \|/)
  })

  it('tells which invariant does not hold, and when', async () => {
    const report = await rehearsed(
      (storage) => ({
        async up() {
          await storage.collection('guilds').clear()
        },
      }),
      {
        maxCrashes: 0,
        invariants: { 'there are guilds': async (storage) => (await storage.collection('guilds').count()) > 0 },
      },
    )
    expect(step(report, 'invariants')).toBe('failed: after up: there are guilds')
    const stages: string[] = []
    const late = await rehearsed(addZone, {
      maxCrashes: 0,
      invariants: {
        late: (_, stage) => {
          stages.push(stage)
          if (stage === 'after down') throw new Error('too late')
        },
      },
    })
    expect(stages).toEqual(['before', 'after up', 'after down'])
    expect(step(late, 'invariants')).toBe('failed: after down: late (too late)')
  })

  it('asks no invariant after a down that there is not', async () => {
    const stages: string[] = []
    const report = await rehearsed(
      (storage) => ({
        irreversible: true,
        up: async () => void (await storage.collection('zones').set('all', 'UTC')),
      }),
      {
        maxCrashes: 0,
        invariants: {
          'zones are there after up only': async (storage, stage) => {
            stages.push(stage)
            return (await storage.collection('zones').has('all')) === (stage === 'after up')
          },
        },
      },
    )
    expect(step(report, 'invariants')).toBe('passed: 1 hold before and after up; there is no down')
    expect(stages).toEqual(['before', 'after up'])
  })

  it('tells of a collection that was not to be changed', async () => {
    const report = await rehearsed(addZone, { maxCrashes: 0, mayChange: ['users'] })
    expect(step(report, 'changes only what it may')).toBe('failed: it changed guilds too')
  })

  it('can be cancelled in each of its steps, and leaves nothing', async () => {
    const all = new Set<string>()
    const generate = botData({ guilds: 2, maxMembers: 2, maxReminders: 1 })
    const options = { generate, runs: 1, maxCrashes: 1, maxCrashRows: 2, limits: { maxUpMs: 60_000 } }
    await rehearsed(addZone, { ...options, onProgress: ({ step: name }) => void all.add(name) })
    all.delete('clean-up')
    expect(all.size).toBeGreaterThan(12)
    const onDisk = new Set(['data', 'dry run of up', 'a write fails', 'two run it at once'])
    for (const name of all) {
      const stop = new AbortController()
      const report = await rehearsed(addZone, {
        ...options,
        ...(onDisk.has(name) ? { copy: (at) => new SqliteStorage({ path: join(at, 'copy.db') }) } : {}),
        signal: stop.signal,
        onProgress: (progress) => void (progress.step === name && stop.abort()),
      })
      expect([name, report.outcome, exitCodeOf(report), readdirSync(folder)]).toEqual([name, 'CANCELLED', 2, []])
    }
  })

  const quoting = (what: string): Error =>
    Object.assign(new RangeError(`bad row {"name":"${what}"}`), { code: 'E_ROW' })
  const oneRow = async function* (): AsyncGenerator<{ key: string; value: unknown }> {
    yield { key: 'a', value: 1 }
  }
  it.each<[string, Partial<RehearsalOptions<Storage>>, string]>([
    [
      'its collections',
      {
        source: {
          collections: () => Promise.reject(quoting('Secret')),
          collection: () => ({ get: async () => undefined, scan: oneRow }),
        },
      },
      'data',
    ],
    [
      'a scan of it',
      {
        source: {
          collections: async () => ['guilds'],
          collection: () => ({
            get: async () => undefined,
            async *scan() {
              yield* oneRow()
              throw quoting('Secret')
            },
          }),
        },
      },
      'data',
    ],
    [
      'the look whether a copy leads to it',
      {
        source: {
          collections: async () => ['guilds'],
          collection: () => ({ get: () => Promise.reject(quoting('Secret')), scan: oneRow }),
        },
      },
      'data',
    ],
    [
      'the function that draws from it',
      {
        source: {
          collections: async () => ['guilds'],
          collection: () => ({ get: async () => undefined, scan: oneRow }),
        },
        sample: {
          ratio: 0.5,
          by: () => {
            throw quoting('Secret')
          },
        },
      },
      'data',
    ],
    [
      'a copy in which nobody has looked for originals yet',
      {
        source: {
          collections: async () => ['guilds'],
          collection: () => ({ get: async () => undefined, scan: oneRow }),
        },
        copy: () =>
          Object.assign(new MemoryStorage(), { batch: () => Promise.reject(quoting('Secret')) }) as never as Storage,
      },
      'data',
    ],
    [
      'the look for originals',
      {
        source: {
          collections: async () => ['guilds'],
          collection: () => ({ get: async () => undefined, scan: oneRow }),
        },
        copy: () => {
          const storage = new MemoryStorage()
          let reads = 0
          // To see that it is empty, and what was written.
          const collections = (): Promise<string[]> =>
            ++reads > 2 ? Promise.reject(quoting('Secret')) : MemoryStorage.prototype.collections.call(storage)
          return Object.assign(storage, { collections })
        },
      },
      'no original in the copy',
    ],
  ])('tells no row of the source when %s fails with one in its message', async (_, options, name) => {
    const thrown: unknown[] = []
    const report = await rehearsed(addZone, {
      ...options,
      onProgress: ({ error }) => void (error !== undefined && thrown.push(error)),
    })
    expect(report.outcome).toBe('FAILED')
    expect(step(report, name)).toMatch(/^failed: .*RangeError \(E_ROW\).*onProgress/)
    expect(JSON.stringify(report) + rehearsalMarkdown(report)).not.toContain('Secret')
    // But to whoever runs it.
    const messages = thrown.map((error) => {
      let [message, cause]: [string, unknown] = ['', error]
      for (; cause instanceof Error; cause = cause.cause) message += cause.message
      return message
    })
    expect(messages).toEqual([expect.stringContaining('"Secret"')])
  })

  it('tells a later step no row of the source either, and all of what the migration says', async () => {
    let asked = 0
    const source = {
      collections: async () => ['guilds'],
      collection: () => ({
        get: () => (++asked > 1 ? Promise.reject(quoting('Secret')) : Promise.resolve(undefined)),
        scan: oneRow,
      }),
    }
    const report = await rehearsed(addZone, { source })
    const failed = report.steps.filter(({ outcome }) => outcome === 'failed').map(({ why }) => why)
    expect(failed.length).toBeGreaterThan(0)
    for (const why of failed) expect(why).toContain('RangeError (E_ROW)')
    expect(JSON.stringify(report)).not.toContain('Secret')
    const broken = await rehearsed(() => ({ up: () => Promise.reject(quoting('no guild')) }))
    expect(step(broken, 'dry run of up')).toContain('bad row {"name":"no guild"}')
  })

  describe('of real data under other names', () => {
    /** Neither idempotent nor undone, and it loses writes of the bot. */
    const careless = (storage: Storage): Migration => {
      const tags = storage.collection<{ n: number }>('tags')
      return {
        async up() {
          for await (const { key, value } of tags.scan()) await tags.set(key, { ...value, n: value.n + 1 })
        },
        async down() {
          for await (const { key } of tags.scan()) await tags.delete(key)
        },
      }
    }
    const taggedBot = async (): Promise<MemoryStorage> => {
      const source = new MemoryStorage()
      const tags = source.collection('tags')
      await tags.set('alice-smith', { n: 1 })
      await tags.set('alice-jones', { n: 10 })
      return source
    }

    it('has no key in the report, and tells it to who runs it', async () => {
      const thrown = new Map<string, string>()
      const report = await rehearsed(careless, {
        source: await taggedBot(),
        onProgress: ({ step: name, error }) => void (error instanceof Error && thrown.set(name, error.message)),
      })
      const failed = ['up twice', 'rollback by down', 'up interrupted', 'a write fails', 'a row is damaged']
      for (const name of [...failed, 'the bot writes meanwhile', 'two run it at once']) {
        expect(step(report, name)).toMatch(/^failed: .*tags\/#[\da-f]{8}/)
        expect(thrown.get(name)).toMatch(/tags\/alice-(smith|jones)/)
      }
      expect(JSON.stringify(report) + rehearsalMarkdown(report)).not.toContain('alice')
      // A row has one name in the whole report.
      const { key } = report.differences['up twice']![0]!
      expect(step(report, 'rollback by down')).toContain(`tags/${key} removed`)
    })

    it('has no key of a row that the bot could not write either', async () => {
      const rewrite = (): never => {
        throw new Error('no such tag')
      }
      const report = await rehearsed(careless, { source: await taggedBot(), rewrite, maxCrashes: 1 })
      expect(step(report, 'the bot writes meanwhile')).toMatch(
        /^failed: the bot could not write tags\/#\w{8}: no such tag/,
      )
      expect(JSON.stringify(report)).not.toContain('alice')
    })

    it('has no key of a row in which an original was found, and tells it to who runs it', async () => {
      const source = await taggedBot()
      await source.collection('notes').set('alice', { by: 'Alice Smith', kept: 'Alice Smith' })
      let cause: unknown
      const report = await rehearsed(careless, {
        source,
        anonymize: { keep: ['notes.kept'] },
        onProgress: ({ error }) => void (error instanceof Error && (cause = error.cause)),
      })
      expect(report.data.leaks?.first).toMatchObject([{ collection: 'notes', field: 'kept' }])
      expect(JSON.stringify(report)).not.toContain('alice')
      expect(cause).toMatchObject([{ collection: 'notes', key: 'alice', field: 'kept' }])
    })

    it('has no name of a collection in which an original was found', async () => {
      const source = await taggedBot()
      await source.collection('chat_123456789').set('a', { by: '123456789' })
      const report = await rehearsed(careless, { source })
      expect(step(report, 'no original in the copy')).toMatch(
        /^failed: 1 strings hold an original: the name of a collection;/,
      )
      expect(rehearsalMarkdown(report)).toContain('id (plain) in the name of a collection')
      expect(JSON.stringify(report) + rehearsalMarkdown(report)).not.toContain('123456789')
      const allowed = await rehearsed(addZone, { source, anonymize: { allow: ['123456789'] }, maxCrashes: 0 })
      expect(allowed.outcome).toBe('PASSED')
    })

    it('has no words of a copy that cannot be stopped, and tells them to who runs it', async () => {
      class Copy extends MemoryStorage {
        override async stop(): Promise<void> {
          throw new Error('cannot write {"alice":1}')
        }
      }
      const told: unknown[] = []
      const report = await rehearsed(careless, {
        source: await taggedBot(),
        copy: () => new Copy(),
        maxCrashes: 0,
        onProgress: ({ step: name, error }) => void (name === 'clean-up' && error !== undefined && told.push(error)),
      })
      expect(step(report, 'clean-up')).toMatch(
        /^failed: a copy could not be stopped: Error, whose message may have data/,
      )
      expect(JSON.stringify(report)).not.toContain('alice')
      expect(told).toEqual([
        expect.objectContaining({ cause: expect.objectContaining({ message: 'cannot write {"alice":1}' }) as object }),
      ])
    })
  })

  it('does not pass without a row', async () => {
    const report = await rehearsed(addZone, { source: new MemoryStorage() })
    expect(step(report, 'data')).toMatch(
      /^failed: there is no row, .* whether source is the store .*generate: botData\(\)/,
    )
    expect(report.outcome).toBe('FAILED')
    const made = await rehearsed(addZone, { generate: () => [] })
    expect(step(made, 'data')).toMatch(/^failed: there is no row, .* generate/)
  })

  it.each([
    [{ generate: undefined }, 'rehearse needs a source, or generate'],
    [{ seed: 0.5 }, 'seed must be a whole number'],
    [{ anonymize: {} }, 'anonymize and sample are for a source'],
    [{ sample: { ratio: 0.5 } }, 'anonymize and sample are for a source'],
    [{ source: new MemoryStorage(), seed: 1 }, 'seed is for generate'],
    [{ generate: [] }, 'generate must be a function'],
    [{ mayChange: 'guilds' }, 'mayChange must be a list of names'],
    [{ invariants: { x: 1 } }, 'invariants.x must be a function'],
    [{ limits: { maxUpMs: 0 } }, 'limits.maxUpMs must be a number above 0'],
    [{ limits: { upMs: 1 } }, 'limits has no option "upMs"'],
    [{ scenarios: ['fire'] }, 'scenarios has no "fire"; it has failure, corruption, concurrency'],
    [{ rewrite: 1 }, 'rewrite must be a function'],
    [{ runs: 0 }, 'runs must be a whole number from 1'],
    [{ target: 1 }, 'no option "target"'],
  ])('refuses %j', async (options, why) => {
    await expect(rehearsed(addZone, options as never)).rejects.toThrow(why)
  })
})

/** What `addZone` does, with a gap between reading and writing. */
function addZoneBy(guildsOf: (storage: Storage) => Promise<(readonly [string, Guild])[]>): {
  readonly up: (storage: Storage) => Promise<void>
  readonly down: (storage: Storage) => Promise<void>
} {
  return {
    async up(storage) {
      for (const [key, guild] of await guildsOf(storage)) {
        await storage.collection<Guild>('guilds').set(key, { zone: 'UTC', ...guild })
      }
    },
    async down(storage) {
      for (const [key, { zone: _, ...guild }] of await guildsOf(storage)) {
        await storage.collection<Guild>('guilds').set(key, guild)
      }
    },
  }
}

describe('a rehearsal that is killed', () => {
  const program = bundleChild('rehearsal-child.ts')
  afterAll(() => program[Symbol.dispose]())

  it('leaves its copies, which the next one removes', async () => {
    const child = spawn(process.execPath, [program.file, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    const [left] = readdirSync(folder)
    expect(readdirSync(join(folder, left!)).length).toBeGreaterThan(0)
    // While it lives, another one leaves it alone.
    expect((await rehearsed(addZone, { maxCrashes: 0 })).leftovers).toEqual([])
    child.kill('SIGKILL')
    await once(child, 'exit')
    const report = await rehearsed(addZone, { maxCrashes: 0 })
    expect([report.leftovers, report.outcome, readdirSync(folder)]).toEqual([[join(folder, left!)], 'PASSED', []])
  })
})
