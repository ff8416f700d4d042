import { copyFile, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BackendStorage } from '../backend-storage.js'
import type { QuarantinedNews } from '../events.js'
import { nodeFiles, type FileOps } from '../file/file-ops.js'
import type { Clock } from '../ports.js'
import { SqliteBackend } from './sqlite-backend.js'
import { findDriver } from './sqlite-driver.js'
import { SqliteStorage } from '../sqlite.js'
import { systemClock } from '../system-clock.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'

const CORRUPT = { code: 'STORAGE_CORRUPT' }
const PAGE_BYTES = 4_096

describeSqlite('a SQLite database that was damaged', () => {
  let directory: string
  let path: string
  let storage: BackendStorage
  let skippedMs = 0
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skippedMs }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-damage-'))
    path = join(directory, 'bot.db')
    storage = new SqliteStorage({ path, clock })
    await notes().setMany(Array.from({ length: 500 }, (_, i) => [`k${i}`, `text ${i} `.repeat(20)]))
  })
  afterEach(async () => {
    await storage.stop()
    await rm(directory, { recursive: true })
  })

  const notes = () => storage.collection('notes')
  const files = async (): Promise<string[]> => (await readdir(directory)).sort()

  async function scribble(at: number, bytes: number, target = path): Promise<void> {
    const file = await open(target, 'r+')
    await file.write(Buffer.alloc(bytes, 0x5a), 0, bytes, at)
    await file.close()
  }

  /** Overwrites most of the records, and leaves what describes the database. */
  const damageRecords = (target?: string): Promise<void> => scribble(10 * PAGE_BYTES, 20 * PAGE_BYTES, target)

  function quarantined(from: BackendStorage = storage): QuarantinedNews[] {
    const news: QuarantinedNews[] = []
    from.on('quarantined', (each) => news.push(each))
    return news
  }

  async function readAll(): Promise<void> {
    for await (const { key } of notes().scan()) expect(key).toMatch(/^k/)
  }

  it('is not begun anew when it is gone and its log is still there', async () => {
    // Without a checkpoint, which a clean end would make.
    const other = join(directory, 'other.db')
    await copyFile(`${path}-wal`, `${other}-wal`)
    await expect(new SqliteStorage({ path: other }).start()).rejects.toMatchObject({
      ...CORRUPT,
      message: expect.stringContaining('is missing beside its write-ahead log') as string,
    })
    expect(await files()).not.toContain('other.db')
  })

  it('is set aside when a read meets the damage, and no empty one takes its place', async () => {
    await storage.stop()
    await copyFile(path, join(directory, 'backup.db'))
    await damageRecords()
    const damaged = await readFile(path)
    const news = quarantined()
    await storage.start()
    await expect(readAll()).rejects.toMatchObject({
      ...CORRUPT,
      path: expect.stringContaining('.quarantine-') as unknown,
    })
    expect(news).toMatchObject([
      { severity: 'CRITICAL', path: expect.stringMatching(/bot\.db\.quarantine-\d{4}-/) as unknown },
    ])
    const movedTo = news[0]?.path ?? ''
    expect((await readFile(movedTo)).equals(damaged)).toBe(true)
    for (const attempt of [() => notes().get('k1'), () => notes().set('k1', 1), () => storage.health()]) {
      await expect(attempt()).rejects.toMatchObject({ ...CORRUPT, path: movedTo, applied: 'no' })
    }
    await storage.stop()
    storage = new SqliteStorage({ path })
    await expect(storage.start()).rejects.toMatchObject({
      message: expect.stringContaining('put a backup at') as unknown,
    })
    expect(await files()).not.toContain('bot.db')

    await copyFile(join(directory, 'backup.db'), path)
    expect(await notes().count()).toBe(500)
    expect(await files()).not.toContain('bot.db.quarantined')
    expect((await readFile(movedTo)).equals(damaged)).toBe(true)
  })

  it('is found at the start after a crash, before anybody reads it', async () => {
    // Moves everything but the last write from the log into the database.
    await storage.stop()
    await storage.start()
    await notes().set('k0', 'only in the log')
    const crashed = join(directory, 'crashed.db')
    await copyFile(path, crashed)
    await copyFile(`${path}-wal`, `${crashed}-wal`)
    await damageRecords(crashed)
    const other = new SqliteStorage({ path: crashed })
    const news = quarantined(other)
    await expect(other.start()).rejects.toMatchObject(CORRUPT)
    expect(news).toHaveLength(1)
    await other.stop()
  })

  it('is set aside when its first bytes are gone, since they still say that it is ours', async () => {
    await storage.stop()
    await scribble(0, 16)
    const news = quarantined()
    await expect(storage.start()).rejects.toMatchObject({
      ...CORRUPT,
      path: expect.stringContaining('.quarantine-') as unknown,
    })
    expect(news).toHaveLength(1)
    expect(await files()).not.toContain('bot.db')
  })

  it('is taken from another storage that has it open, which is told', async () => {
    await storage.stop()
    await damageRecords()
    const other = new SqliteStorage({ path, clock })
    await other.start()
    await storage.start()
    await expect(readAll()).rejects.toMatchObject(CORRUPT)
    skippedMs += 100
    await expect(other.collection('notes').set('new', 1)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    await expect(other.collection('notes').set('new', 1)).rejects.toMatchObject(CORRUPT)
    await other.stop()
  })

  it('is refused, and in the end set aside whole, wherever a crash interrupts that', async () => {
    await storage.stop()
    await damageRecords()
    const damaged = await readFile(path)
    for (let step = 1; ; step++) {
      const place = join(directory, `crash-${step}`)
      await nodeFiles.makeDirectory(place)
      const own = join(place, 'bot.db')
      await copyFile(path, own)
      await writeFile(`${own}-wal`, '')
      const { steps, ops } = crashAfter(step)
      const backend = { path: own, driver: 'auto', busyTimeoutMs: 1_000, clock: systemClock, files: ops } as const
      const crashing = new BackendStorage(new SqliteBackend(backend))
      const attempt = async (from: BackendStorage): Promise<void> => {
        for await (const _ of from.collection('notes').scan());
      }
      await expect(attempt(crashing)).rejects.toBeDefined()
      await crashing.stop()
      const next = new SqliteStorage({ path: own })
      await expect(attempt(next)).rejects.toMatchObject(CORRUPT)
      await expect(next.start().then(() => next.health())).rejects.toMatchObject(CORRUPT)
      await next.stop()
      const left = await readdir(place)
      expect(left).not.toContain('bot.db')
      expect(left).not.toContain('bot.db-wal')
      const moved = left.filter((name) => /^bot\.db\.quarantine-[^.]+\.\d+Z$/.test(name))
      expect(moved).toHaveLength(1)
      expect((await readFile(join(place, moved[0] ?? ''))).equals(damaged)).toBe(true)
      if (steps() < step) return
    }
  })

  it('leaves alone the backup that is put in its place while it is being set aside', async () => {
    await storage.stop()
    const backup = join(directory, 'backup.db')
    await copyFile(path, backup)
    await damageRecords()
    const ops: FileOps = {
      ...nodeFiles,
      // The marker stands, and nothing has been moved yet.
      async rename(from, to) {
        await nodeFiles.rename(from, to)
        if (to.endsWith('.quarantined')) await rename(backup, path).catch(() => undefined)
      },
    }
    const options = { path, driver: 'auto', busyTimeoutMs: 1_000, clock: systemClock, files: ops } as const
    const hurried = new BackendStorage(new SqliteBackend(options))
    const count = async (): Promise<number> => {
      let found = 0
      for await (const _ of hurried.collection('notes').scan()) found++
      return found
    }
    await expect(count()).rejects.toBeDefined()
    expect(await count()).toBe(500)
    await hurried.stop()
    expect(await files()).toEqual(['bot.db'])
  })

  it('leaves no log behind that could be taken for that of a backup', async () => {
    await storage.stop()
    const backup = join(directory, 'backup.db')
    await copyFile(path, backup)
    await storage.start()
    await notes().set('k0', 'only in the log')
    await storage.stop()
    await damageRecords()
    // While another has it open, the log stays.
    const other = findDriver('auto').open(path)
    other.exec('PRAGMA wal_autocheckpoint = 0; UPDATE store SET id = id')
    let renames = 0
    const ops: FileOps = {
      ...nodeFiles,
      // The first puts the marker in place.
      rename: (from, to) => (++renames > 2 ? Promise.reject(new Error('crashed')) : nodeFiles.rename(from, to)),
    }
    const options = { path, driver: 'auto', busyTimeoutMs: 1_000, clock: systemClock, files: ops } as const
    const crashing = new BackendStorage(new SqliteBackend(options))
    await expect(crashing.collection('notes').count()).rejects.toMatchObject({ applied: 'no' })
    expect(renames).toBe(3)
    await crashing.stop()
    other.close()
    await rename(backup, path)
    expect(await files()).not.toContain('bot.db-wal')
    await storage.start()
    expect(await notes().get('k0')).toBe('text 0 '.repeat(20))
  })

  /** From a certain step on, nothing that changes a file succeeds any more. */
  function crashAfter(step: number): { ops: FileOps; steps: () => number } {
    let count = 0
    const die = <A extends unknown[], R>(call: (...parameters: A) => R) => {
      return (...parameters: A): R => {
        if (++count >= step) throw new Error('crashed')
        return call(...parameters)
      }
    }
    const ops: FileOps = {
      ...nodeFiles,
      rename: die((from: string, to: string) => nodeFiles.rename(from, to)),
      remove: die((target: string) => nodeFiles.remove(target)),
      open: die((target: string, flags: 'wx' | 'w' | 'r+') => nodeFiles.open(target, flags)),
      syncDirectory: die((target: string) => nodeFiles.syncDirectory(target)),
    }
    return { ops, steps: () => count }
  }

  describe('and is asked for a check', () => {
    it('names each record of which a bit was flipped', async () => {
      await storage.stop()
      const content = await readFile(path)
      const at = content.indexOf('text 321 ')
      content.writeUInt8(content.readUInt8(at) ^ 1, at)
      await writeFile(path, content)
      await storage.start()
      const { ok, problems } = await storage.check()
      expect(ok).toBe(false)
      expect(problems).toEqual(['"k321" in "notes" is not what was written: its checksum differs.'])
    })

    it('names a record whose name was altered, and rejects a value that is no JSON any more', async () => {
      await storage.stop()
      const content = await readFile(path)
      // The last of its name, so that the order of the records still holds.
      for (let at = content.indexOf('k499'); at !== -1; at = content.indexOf('k499', at + 1)) content.write('k49x', at)
      content.write('"', content.indexOf('text 99 ') + 4)
      await writeFile(path, content)
      await storage.start()
      const { problems } = await storage.check()
      expect(problems).toContain('"k49x" in "notes" is not what was written: its checksum differs.')
      await expect(notes().get('k99')).rejects.toMatchObject({ code: 'STORAGE_CORRUPT', applied: 'no' })
    })

    it('tells what SQLite finds, and leaves the database where it is', async () => {
      await storage.stop()
      await damageRecords()
      await storage.start()
      const { problems } = await storage.check()
      expect(problems.length).toBeGreaterThan(0)
      expect(problems[0]).toMatch(/^SQLite reports: /)
      expect(await files()).toContain('bot.db')
    })
  })

  it('is not suspected after a crash that left it whole: its log is recovered, which is told', async () => {
    const crashed = join(directory, 'crashed.db')
    await copyFile(path, crashed)
    await copyFile(`${path}-wal`, `${crashed}-wal`)
    const other = new SqliteStorage({ path: crashed })
    const news: string[] = []
    other.on('repaired', ({ message }) => news.push(message))
    expect(await other.collection('notes').count()).toBe(500)
    expect(news).toEqual([expect.stringMatching(/was not closed .* recovered/)])
    await other.stop()
    await other.start()
    await other.stop()
    expect(news).toHaveLength(1)
  })

  it('is not looked at when another process has it open', async () => {
    const other = new SqliteStorage({ path })
    const news: unknown[] = []
    other.on('repaired', (each) => news.push(each))
    await other.start()
    expect(news).toEqual([])
    await other.stop()
  })
})
