import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { FileBackend } from './file-backend.js'
import { BackendStorage } from '../backend-storage.js'
import type { Mutation } from '../backend.js'
import { CrashFiles } from '../test-support/crash-files.js'
import { contentOf, JOURNAL, leaveLocked, openFileStore, PATH, SNAPSHOT } from '../test-support/file-store.js'

const MAX_BYTES = 20_000

function backendOn(files: CrashFiles, maxBytes?: number): FileBackend {
  return new FileBackend({ path: PATH, compactBytes: 1e12, clock: new FakeClock(), files, maxBytes })
}

function sizeOf(files: CrashFiles): number {
  return [JOURNAL, SNAPSHOT].reduce((sum, path) => sum + (files.content(path)?.length ?? 0), 0)
}

describe('files that have grown as long as they may', () => {
  /** A store that took as much as it may hold. */
  async function fullStore() {
    const files = new CrashFiles()
    const storage = new BackendStorage(backendOn(files, MAX_BYTES), { clock: new FakeClock() })
    const notes = storage.collection('notes')
    let kept = 0
    const refused = await (async (): Promise<unknown> => {
      for (; kept < 1_000; kept++) await notes.set(`k${String(kept).padStart(3, '0')}`, 'x'.repeat(500))
      return undefined
    })().catch((error: unknown) => error)
    return { files, storage, notes, kept, refused }
  }

  it('refuse what would be too much, with a remedy, and can be read again', async () => {
    const { files, storage, kept, refused } = await fullStore()
    expect(refused).toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    expect(String(refused)).toContain(`${PATH} may hold ${MAX_BYTES} bytes`)
    expect(String(refused)).toContain('delete records, or use SqliteStorage')
    expect(kept).toBeGreaterThan(20)
    await storage.stop()
    expect(sizeOf(files)).toBeLessThanOrEqual(MAX_BYTES)
    expect((await contentOf(openFileStore(files).storage)).size).toBe(kept)
  })

  it('refuse a write that is too large, and not those that came with it', async () => {
    const files = new CrashFiles()
    const storage = new BackendStorage(backendOn(files, MAX_BYTES), { clock: new FakeClock() })
    const notes = storage.collection('notes')
    await notes.set('seed', 'x')
    const writes = await Promise.allSettled([
      notes.set('small', 'x'),
      notes.set('huge', 'x'.repeat(2 * MAX_BYTES)),
      notes.set('seed', 'y', { ifAbsent: true }),
      notes.delete('seed'),
    ])
    expect(
      writes.map((write) => (write.status === 'rejected' ? (write.reason as { code: string }).code : 'done')),
    ).toEqual(['done', 'STORAGE_UNAVAILABLE', 'STORAGE_CONFLICT', 'done'])
    await storage.stop()
  })

  it('take removals all the same, and then writes again', async () => {
    const { storage, notes, kept } = await fullStore()
    for (let i = 0; i < kept / 2; i++) await notes.delete(`k${String(i).padStart(3, '0')}`)
    while (storage.metrics().gauges['snapshot.bytes'] === 0) await new Promise((resolve) => setImmediate(resolve))
    await notes.set('new', 'x'.repeat(500))
    expect(await notes.count()).toBe(kept - Math.ceil(kept / 2) + 1)
    expect((await storage.check()).problems).toEqual([])
    await storage.stop()
  })

  it('make room by themselves from what was written over', async () => {
    const files = new CrashFiles()
    const storage = new BackendStorage(backendOn(files, MAX_BYTES), { clock: new FakeClock() })
    const notes = storage.collection('notes')
    for (let i = 0; i < 200; i++) {
      await notes.set('same', `${i} ${'x'.repeat(500)}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await storage.stop()
    expect(sizeOf(files)).toBeLessThanOrEqual(MAX_BYTES)
  })

  it.each([100, 250, 400, 550])(
    'make room as soon as they are looked at when no snapshot could be written before (%i)',
    async (length) => {
      const files = new CrashFiles()
      const storage = new BackendStorage(backendOn(files, MAX_BYTES), { clock: new FakeClock() })
      const notes = storage.collection('notes')
      files.beforeSync = (path) => (path.startsWith(SNAPSHOT) ? Promise.reject(new Error('EIO')) : undefined)
      const write = async (): Promise<void> => {
        for (let i = 0; i < 200; i++) await notes.set('same', `${i} ${'x'.repeat(length)}`)
      }
      await expect(write()).rejects.toThrow('delete records')
      files.beforeSync = () => undefined
      // Of itself, it would try again later than there is room for.
      await storage.health()
      await storage.stop()
      expect(files.log).toContain(`datasync ${SNAPSHOT}.tmp`)
    },
  )

  it('are not replaced by a snapshot that could not be read again', async () => {
    const files = new CrashFiles()
    const before = openFileStore(files).storage
    // In one line they are about half as long as in lines of their own.
    const operations = Array.from({ length: 1_000 }, (_, i) => {
      return { type: 'set', collection: 'notes', key: `${i}`, value: 1, version: '1' } as const
    })
    await before.batch(operations)
    await before.stop()
    // Such that a removal is let in.
    const maxBytes = (sizeOf(files) / 17) * 16 + 200
    const storage = new BackendStorage(backendOn(files, maxBytes), { clock: new FakeClock() })
    await storage.collection('notes').delete('0')
    while (
      !files.log.includes(`rename ${SNAPSHOT}.tmp`) &&
      !files.log.some((step) => step === `datasync ${SNAPSHOT}.tmp`)
    )
      await new Promise((resolve) => setImmediate(resolve))
    await storage.stop()
    expect(files.content(SNAPSHOT)).toBeUndefined()
    expect((await contentOf(openFileStore(files).storage)).size).toBe(999)
  })
})

describe('a commit that is too long for a line', () => {
  it('is refused clearly, and harms no neighbour in its group', async () => {
    const files = new CrashFiles()
    const backend = backendOn(files)
    await backend.open(() => undefined)
    const put = (key: string, json: string, expected?: null): readonly Mutation[] => [
      { type: 'put', collection: 'notes', key, json, version: key, expiresAt: undefined, expected },
    ]
    // It says that it is short, so that it is in one group with the other.
    const huge = { length: 1, toString: () => 'x'.repeat(2 ** 29 - 100) } as unknown as string
    const results = await Promise.allSettled([
      backend.commit([...put('a', huge), ...put('b', '0')], 0),
      backend.commit(put('b', '1', null), 0),
    ])
    expect(results).toMatchObject([
      { reason: new RangeError('A commit of more than 512 MB of JSON cannot be written; split the batch') },
      { status: 'fulfilled' },
    ])
    expect(await backend.read('notes', ['a', 'b'], 0)).toMatchObject([undefined, { json: '1' }])
    await backend.close()
  })
})

describe('what is cut off the end of a journal', () => {
  const cut = (journal: Buffer): Buffer => journal.subarray(0, -5)
  const flip = (journal: Buffer): Buffer => {
    const damaged = Buffer.from(journal)
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1)
    return damaged
  }

  it.each([
    ['a crash has cut it short', 'killed', cut, 'repaired', 'torn'],
    ['it lost its line break to a flipped bit in a crash', 'killed', flip, 'repaired', 'torn'],
    ['it was cut although the store had been closed', 'closed', cut, 'quarantined', 'quarantine'],
    ['it was damaged although the store had been closed', 'closed', flip, 'quarantined', 'quarantine'],
  ])('is kept aside when %s', async (_, end, damage, event, name) => {
    const files = new CrashFiles()
    const before = openFileStore(files).storage
    await before.collection('notes').set('a', 1)
    await before.collection('notes').set('b', 'the only copy')
    await before.stop()
    files.plant(JOURNAL, damage(files.content(JOURNAL) as Buffer))
    if (end === 'killed') leaveLocked(files)
    const { storage, events, news } = openFileStore(files)
    expect(await contentOf(storage)).toEqual(new Map([['a', 1]]))
    expect(events).toEqual([event])
    const copy = files.paths.find((path) => path.startsWith(`${PATH}/${name}-`)) as string
    expect(news.some(({ message }) => message.includes(copy))).toBe(true)
    expect(files.content(copy)?.toString()).toContain('the only copy')
    files.reboot('power cut')
    expect(files.content(copy)?.toString()).toContain('the only copy')
  })
})
