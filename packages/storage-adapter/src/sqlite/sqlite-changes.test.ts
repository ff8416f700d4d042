import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SqliteStorage } from '../sqlite.js'
import type { LoggedChange } from '../storage.js'
import { outputOf, startChild } from '../test-support/child.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'

const TIMES = 300

describeSqlite('the log of changes in SQLite', () => {
  let directory: string
  let path: string
  let storage: SqliteStorage

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-changes-'))
    path = join(directory, 'bot.db')
    storage = new SqliteStorage({ path })
    await storage.start()
  })
  afterEach(async () => {
    await storage.stop()
    await rm(directory, { recursive: true })
  })

  const notes = () => storage.collection('notes')
  const now = async (): Promise<string> => (await storage.changes()).cursor

  async function startWriters(): Promise<void> {
    const writers = ['a', 'b'].map((name) => startChild('sqlite-writer-child.ts', path, name, String(TIMES)))
    for (const { code, stderr } of await Promise.all(writers.map(outputOf))) expect([code, stderr]).toEqual([0, ''])
  }

  /** What one writer must have logged, in its order. */
  function expectedOf(name: string): string[] {
    return Array.from({ length: TIMES }, (_, i) => i).flatMap((i) => {
      const key = `${name}:${i}`
      return i % 10 === 0 ? [`put ${key}`, `delete ${key}`] : [`put ${key}`]
    })
  }

  it('holds every change of two processes that write at once, each in its order, while it is read', async () => {
    let cursor = await now()
    let isWriting = true
    const writing = startWriters().finally(() => (isWriting = false))
    const seen: LoggedChange[] = []
    for (let isLast = false; ;) {
      const page = await storage.changes({ since: cursor, limit: 7 })
      expect(page.isReset).toBe(false)
      seen.push(...page.changes)
      cursor = page.cursor
      if (page.changes.length > 0) continue
      if (isLast) break
      isLast = !isWriting
      await new Promise(setImmediate)
    }
    await writing
    for (const name of ['a', 'b']) {
      const own = seen.filter(({ key }) => key.startsWith(`${name}:`)).map(({ type, key }) => `${type} ${key}`)
      expect(own).toEqual(expectedOf(name))
    }
    expect(new Set(seen.map(({ version }) => version)).size).toBe(seen.length)
  })

  it('lets a watch hear of every record that two other processes wrote', async () => {
    const latest = new Map<string, string>()
    const watching = (async () => {
      for await (const notice of storage.collection('numbers').watch()) {
        if (notice.type === 'reset') expect(notice.why).toBe('start')
        else latest.set(notice.key, notice.type)
        if (latest.size === 2 * TIMES && [...latest.values()].filter((type) => type === 'delete').length === TIMES / 5)
          return
      }
    })()
    await startWriters()
    await watching
    for (const [key, type] of latest) expect(type).toBe(Number(key.slice(2)) % 10 === 0 ? 'delete' : 'set')
  })

  it('is not told of records that are removed because they expired long ago', async () => {
    await notes().set('a', 1, { expiresAt: 1 })
    const cursor = await now()
    await notes().setMany(Array.from({ length: 600 }, (_, i) => [`k${i}`, i]))
    await notes().set('b', 1)
    const { changes } = await storage.changes({ since: cursor, limit: 1_000 })
    expect(changes.filter(({ type }) => type === 'delete')).toEqual([])
  })

  it('begins anew for a cursor of another database', async () => {
    const other = new SqliteStorage({ path: join(directory, 'other.db') })
    await other.start()
    const { cursor } = await other.changes()
    await other.stop()
    const page = await storage.changes({ since: cursor })
    expect(page).toEqual({ changes: [], cursor: await now(), isReset: true })
  })

  it.each([false, true])(
    'begins anew when an older backup was put in place (written to since: %s)',
    async (isWritten) => {
      await notes().set('a', 1)
      await storage.stop()
      await copyFile(path, `${path}.backup`)
      await storage.start()
      await notes().set('b', 2)
      const lost = await now()
      await storage.stop()
      await copyFile(`${path}.backup`, path)
      await storage.start()
      if (isWritten) await notes().setMany([...'cde'].map((key) => [key, 3]))
      expect(await storage.changes({ since: lost })).toEqual({ changes: [], cursor: await now(), isReset: true })
    },
  )

  it('goes on with a cursor from before the process was started anew', async () => {
    const cursor = await now()
    await notes().set('a\0b', 1)
    await storage.stop()
    storage = new SqliteStorage({ path })
    const { changes, isReset } = await storage.changes({ since: cursor })
    expect(changes.map(({ type, key }) => [type, key])).toEqual([['put', 'a\0b']])
    expect(isReset).toBe(false)
  })

  it('forgets the oldest changes beyond 100,000, and says so', async () => {
    const first = await now()
    await notes().set('first', 1)
    const second = await now()
    for (let batch = 0; batch < 110; batch++) {
      await notes().setMany(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, batch]))
    }
    expect((await storage.changes({ since: first })).isReset).toBe(true)
    expect((await storage.changes({ since: second })).isReset).toBe(true)
    const recent = await now()
    await notes().set('last', 1)
    expect((await storage.changes({ since: recent })).changes).toMatchObject([{ type: 'put', key: 'last' }])
  })
})
