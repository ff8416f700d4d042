import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type * as builds from './sqlite-build.js'
import { findDriver } from './sqlite-driver.js'
import { SqliteStorage } from '../sqlite.js'
import { outputOf, startChild } from '../test-support/child.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'

// This process behaves as with an old SQLite; the processes that it starts know better.
vi.mock('./sqlite-build.js', () => ({ corruptsWhenShared: () => true }))

const { corruptsWhenShared } = await vi.importActual<typeof builds>('./sqlite-build.js')

describe('versions of SQLite', () => {
  it.each(['3.7.0', '3.44.2', '3.44.5', '3.45.1', '3.47.2', '3.50.6', '3.51.2', '2.8.17'])(
    'knows that %s may corrupt what is shared',
    (version) => {
      expect(corruptsWhenShared(version)).toBe(true)
    },
  )

  it.each(['3.44.6', '3.50.7', '3.51.3', '3.52.0', '3.53.4', '4.0.0'])('knows that %s does not', (version) => {
    expect(corruptsWhenShared(version)).toBe(false)
  })
})

describeSqlite('SqliteStorage with a SQLite that may corrupt what is shared', () => {
  let directory: string
  let path: string
  let storage: SqliteStorage
  let warnings: string[]
  const hear = ({ message }: Error): unknown => warnings.push(message)

  beforeEach(async () => {
    warnings = []
    process.on('warning', hear)
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-build-'))
    path = join(directory, 'bot.db')
    storage = new SqliteStorage({ path, busyTimeoutMs: 500 })
  })
  afterEach(async () => {
    process.off('warning', hear)
    await storage.stop()
    await rm(directory, { recursive: true })
  })

  it('works alone, says why, and leaves nothing behind', async () => {
    await storage.collection('notes').set('a', 1)
    expect(await storage.collection('notes').get('a')).toBe(1)
    await nextTurn()
    expect(warnings).toEqual([expect.stringMatching(/may corrupt .* kept from all others/)])
    await storage.stop()
    expect(await readdir(directory)).toEqual(['bot.db'])
    await storage.start()
    expect(await storage.collection('notes').get('a')).toBe(1)
  })

  it('keeps other processes out, which are told who has it and what to do', async () => {
    await storage.collection('notes').set('a', 1)
    const { code, stderr } = await outputOf(startChild('sqlite-writer-child.ts', path, 'b', '1'))
    expect(code).toBe(1)
    expect(stderr).toContain(`in use by process ${process.pid}`)
    expect(stderr).toContain('STORAGE_LOCKED')
    await storage.stop()
    expect((await outputOf(startChild('sqlite-writer-child.ts', path, 'b', '2'))).code).toBe(0)
    await storage.start()
    expect(await storage.collection('numbers').get('b:1')).toBe(1)
  })

  it('refuses a database that another has open, rather than share it', async () => {
    await storage.start()
    await storage.stop()
    const other = findDriver('auto').open(path)
    other.prepare('SELECT count(*) FROM records').get()
    await expect(storage.start()).rejects.toMatchObject({
      code: 'STORAGE_DRIVER',
      message: expect.stringContaining('npm install better-sqlite3@12') as unknown,
    })
    other.close()
    await storage.start()
  })

  it('is not kept out by the mark of a process that was killed', async () => {
    await storage.start()
    await storage.stop()
    await writeFile(`${path}-owner`, JSON.stringify({ pid: 2 ** 22 + 1, since: 0, sqlite: '3.47.2' }))
    const other = findDriver('auto').open(path)
    other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE')
    await expect(storage.start()).rejects.toMatchObject({ code: 'STORAGE_DRIVER' })
    other.close()
    await storage.start()
  })
})
