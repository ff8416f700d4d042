import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DirectoryLock } from './directory-lock.js'
import { nodeFiles, type FileOps } from './file-ops.js'
import { FileStorage } from './file-storage.js'
import { identifySelf } from './process-identity.js'
import { CrashFiles } from '../test-support/crash-files.js'
import { contentOf, JOURNAL, openFileStore, PATH } from '../test-support/file-store.js'

describe('files with two owners, one after the other', () => {
  let directory: string

  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'evenkeel-takeover-')), 'store')
  })
  afterEach(() => rm(join(directory, '..'), { recursive: true }))

  it('lose nothing when the one whose lock was removed by hand stops', async () => {
    const first = new FileStorage({ path: directory })
    await first.collection('notes').set('a', 1)
    await rm(join(directory, 'lock'))
    const second = new FileStorage({ path: directory })
    await second.collection('notes').set('b', 2)
    await first.stop()
    await second.collection('notes').set('c', 3)
    await second.stop()
    const third = new FileStorage({ path: directory })
    expect([...(await third.collection('notes').getMany(['a', 'b', 'c'])).keys()]).toEqual(['a', 'b', 'c'])
    await third.stop()
  })

  it('take no write from the first, although the file system gives the number of its lock out again', async () => {
    const files = new CrashFiles()
    const first = openFileStore(files).storage
    await first.collection('notes').set('a', 1)
    await files.remove(`${PATH}/lock`)
    const second = openFileStore(files).storage
    await second.collection('notes').set('b', 2)
    await expect(first.collection('notes').set('c', 3)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      applied: 'no',
    })
    await first.stop()
    expect(await second.collection('notes').count()).toBe(2)
  })

  it('let the first read no more than a moment after the second took them over', async () => {
    const files = new CrashFiles()
    const first = openFileStore(files)
    const notes = first.storage.collection('notes')
    await notes.set('a', 1)
    await files.remove(`${PATH}/lock`)
    const second = openFileStore(files).storage
    await second.collection('notes').set('a', 2)
    await first.clock.advance(100)
    const gone = { code: 'STORAGE_UNAVAILABLE', applied: 'no' }
    await expect(notes.get('a')).rejects.toMatchObject(gone)
    await expect(notes.getMany(['a', 'b'])).rejects.toMatchObject(gone)
    await expect(notes.count()).rejects.toMatchObject(gone)
    await expect(first.storage.collections()).rejects.toMatchObject(gone)
    await expect(contentOf(first.storage)).rejects.toMatchObject(gone)
    await first.storage.stop()
    await second.stop()
  })

  it('go to one of two processes that find the same stale lock', async () => {
    const path = join(directory, '..')
    await writeFile(join(path, 'lock'), JSON.stringify({ ...identifySelf(), bootId: 'earlier', since: 0 }))
    let letGo = (): void => undefined
    const held = new Promise<void>((resolve) => (letGo = resolve))
    let reach = (): void => undefined
    const reached = new Promise<void>((resolve) => (reach = resolve))
    const slow: FileOps = {
      ...nodeFiles,
      rename: async (from, to) => {
        reach()
        await held
        await rename(from, to)
      },
    }
    const slower = DirectoryLock.acquire(slow, path, 0)
    await reached
    const faster = await DirectoryLock.acquire(nodeFiles, path, 0)
    letGo()
    await expect(slower).rejects.toMatchObject({ code: 'STORAGE_LOCKED', pid: process.pid })
    expect(faster.confirm()).toBe(true)
    await faster.release()
  })
})

describe('files that hold what was never synced', () => {
  const paid = [{ type: 'set', collection: 'notes', key: 'paid', value: 1 }] as const

  /** A store that was killed in the sync of its last batch, which is in the cache of the system and nowhere else. */
  async function killedInSync(): Promise<CrashFiles> {
    const files = new CrashFiles()
    const { storage } = openFileStore(files)
    await storage.collection('notes').set('a', 0)
    files.crashAt = files.steps + 2
    await expect(storage.batch(paid, { once: 'event' })).rejects.toMatchObject({ applied: 'unknown' })
    expect(files.log.at(-1)).toBe(`datasync ${JOURNAL}`)
    files.reboot('kill')
    return files
  }

  it('keep what they once said is done, after a kill and then a power cut', async () => {
    const files = await killedInSync()
    const { storage } = openFileStore(files)
    expect((await storage.batch(paid, { once: 'event' })).applied).toBe(false)
    files.reboot('power cut')
    const later = openFileStore(files)
    expect(await later.storage.collection('notes').get('paid')).toBe(1)
    expect(later.events).toEqual([])
  })

  it('are still in doubt for the next one when the first to open them could not write', async () => {
    const files = await killedInSync()
    files.capacity = 0
    await expect(openFileStore(files).storage.start()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    files.capacity = Infinity
    const { storage } = openFileStore(files)
    expect(await storage.collection('notes').get('paid')).toBe(1)
    files.reboot('power cut')
    expect(await openFileStore(files).storage.collection('notes').get('paid')).toBe(1)
  })

  /** A store whose last sync failed, for which the system has dropped what it could not write. */
  async function failedInSync() {
    const files = new CrashFiles()
    const { storage } = openFileStore(files)
    await storage.collection('notes').set('a', 0)
    files.failAt = files.steps + 2
    await expect(storage.collection('notes').set('b', 1)).rejects.toMatchObject({ applied: 'unknown' })
    expect(files.log).toContain(`datasync ${JOURNAL}`)
    return { files, storage }
  }

  it.each([['the same storage'], ['another storage']])(
    'keep what %s read from them after a sync had failed',
    async (who) => {
      const { files, storage } = await failedInSync()
      await storage.stop()
      const opened = who === 'the same storage' ? storage : openFileStore(files).storage
      await opened.start()
      const read = await opened.collection('notes').get('b')
      await opened.collection('notes').set('c', 2)
      files.reboot('power cut')
      const later = openFileStore(files)
      expect(await later.storage.collection('notes').get('b')).toBe(read)
      expect(await later.storage.collection('notes').get('c')).toBe(2)
      expect(later.events).toEqual([])
    },
  )

  it('are in doubt for the next process when neither the sync nor the way out succeeded', async () => {
    const { files, storage } = await failedInSync()
    files.capacity = 0
    await storage.stop()
    files.capacity = Infinity
    const next = openFileStore(files)
    const read = await next.storage.collection('notes').get('b')
    expect(next.news).toMatchObject([{ from: 'unclean' }])
    files.reboot('power cut')
    expect(await openFileStore(files).storage.collection('notes').get('b')).toBe(read)
  })

  it('are not written over from memory when they could not be read', async () => {
    const files = await killedInSync()
    const journal = Buffer.from(files.content(JOURNAL) ?? '')
    files.plant(JOURNAL, Buffer.from('something else\n'))
    await expect(openFileStore(files).storage.start()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' })
    expect(files.content(JOURNAL)?.toString()).toBe('something else\n')
    files.plant(JOURNAL, journal)
    expect(await openFileStore(files).storage.collection('notes').get('paid')).toBe(1)
  })
})
