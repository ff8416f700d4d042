import { describe, expect, it } from 'vitest'
import { CrashFiles } from '../test-support/crash-files.js'
import { contentOf, JOURNAL, openFileStore, SNAPSHOT } from '../test-support/file-store.js'

/** Holds the next sync of the snapshot until it is let go. */
function holdSnapshot(files: CrashFiles): { begun: Promise<void>; letGo: () => void } {
  let letGo = (): void => undefined
  const held = new Promise<void>((resolve) => (letGo = resolve))
  const begun = new Promise<void>((resolve) => {
    files.beforeSync = (path) => {
      if (path !== `${SNAPSHOT}.tmp`) return undefined
      resolve()
      return held
    }
  })
  return { begun, letGo }
}

/** Waits until the compaction that is under way has ended. */
async function compacted(storage: { metrics(): { gauges: Readonly<Record<string, number>> } }): Promise<void> {
  while (storage.metrics().gauges['compactions'] === 0) await new Promise((resolve) => setImmediate(resolve))
}

/** A store of three records whose snapshot is being written. */
async function storeThatCompacts() {
  const files = new CrashFiles()
  const opened = openFileStore(files, 400)
  const notes = opened.storage.collection('notes')
  const snapshot = holdSnapshot(files)
  await notes.setMany([
    ['a', 'tea'],
    ['b', 'milk'],
    ['c', 'sugar'],
  ])
  await notes.set('a', 'x'.repeat(100))
  await snapshot.begun
  return { ...opened, files, notes, snapshot }
}

describe('compaction of files', () => {
  it('lets others write, delete and clear while the snapshot is written', async () => {
    const { storage, files, notes, snapshot } = await storeThatCompacts()
    await notes.set('a', 'coffee')
    await notes.delete('b')
    await notes.set('d', 'honey')
    await storage.collection('gone').set('a', 1)
    await storage.collection('gone').clear()
    expect(storage.metrics().gauges).toMatchObject({ compactions: 0, records: 3 })
    snapshot.letGo()
    await compacted(storage)
    const whole = new Map([
      ['a', 'coffee'],
      ['c', 'sugar'],
      ['d', 'honey'],
    ])
    expect(await contentOf(storage)).toEqual(whole)
    files.reboot('power cut')
    const again = openFileStore(files)
    expect(await contentOf(again.storage)).toEqual(whole)
    expect(await again.storage.collections()).toEqual(['notes'])
    expect(again.events).toEqual([])
  })

  it('loses nothing that was acknowledged meanwhile when the power is cut before it ends', async () => {
    const { files, notes } = await storeThatCompacts()
    await notes.set('d', 'honey')
    files.reboot('power cut')
    expect((await contentOf(openFileStore(files).storage)).get('d')).toBe('honey')
  })

  it('shortens the journal, and says how long both files are', async () => {
    const { storage, files, notes, snapshot } = await storeThatCompacts()
    const before = storage.metrics().gauges['journal.bytes'] ?? 0
    snapshot.letGo()
    await compacted(storage)
    await notes.set('e', 1)
    const { gauges } = storage.metrics()
    expect(gauges['journal.bytes']).toBeLessThan(before)
    expect(gauges['snapshot.bytes']).toBe(files.content(SNAPSHOT)?.length)
    await storage.stop()
    expect(files.content(JOURNAL)).toHaveLength(gauges['journal.bytes'] ?? 0)
  })

  it('is given up when the storage is stopped, which costs nothing', async () => {
    const { storage, files, notes, snapshot } = await storeThatCompacts()
    await notes.set('d', 'honey')
    const stopping = storage.stop()
    snapshot.letGo()
    await stopping
    const again = openFileStore(files)
    expect((await contentOf(again.storage)).size).toBe(4)
    expect(again.events).toEqual([])
    expect(files.paths.filter((path) => path.endsWith('.tmp'))).toEqual([])
  })

  it('leaves the long journal in use when the snapshot does not fit on the disk, and tries again later', async () => {
    const files = new CrashFiles()
    const { storage, events } = openFileStore(files, 400)
    const notes = storage.collection('notes')
    await notes.set('a', 'tea')
    let isFull = true
    files.beforeSync = async (path) => {
      if (isFull && path === `${SNAPSHOT}.tmp`) throw Object.assign(new Error('ENOSPC: full'), { code: 'ENOSPC' })
    }
    for (let i = 0; i < 20; i++) await notes.set('a', i)
    expect(storage.metrics().gauges['compactions']).toBe(0)
    isFull = false
    for (let i = 0; storage.metrics().gauges['compactions'] === 0; i++) await notes.set('a', i)
    expect(events).toEqual([])
  })

  it('writes a large snapshot in parts, with a sync of each', async () => {
    const files = new CrashFiles()
    const { storage } = openFileStore(files, 400)
    const entries = Array.from({ length: 1_500 }, (_, i) => [`k${i}`, 'x'.repeat(300)] as const)
    const syncs: string[] = []
    files.beforeSync = (path) => void syncs.push(path)
    await storage.collection('notes').setMany(entries)
    await compacted(storage)
    expect(syncs.filter((path) => path === `${SNAPSHOT}.tmp`).length).toBeGreaterThan(2)
    files.reboot('power cut')
    expect((await contentOf(openFileStore(files).storage)).size).toBe(1_500)
  })

  it('comes to an end although others add records as fast as it writes them', async () => {
    const files = new CrashFiles()
    const { storage } = openFileStore(files, 400)
    const notes = storage.collection('notes')
    const thousand = (of: string) => Array.from({ length: 1_000 }, (_, i) => [`${of}${i}`, 'x'.repeat(300)] as const)
    let chunks = 0
    files.beforeSync = async (path) => {
      if (path === `${SNAPSHOT}.tmp` && ++chunks < 20) await notes.setMany(thousand(`added ${chunks} `))
    }
    await notes.setMany(thousand('first'))
    await compacted(storage)
    expect(chunks).toBeLessThan(6)
    files.reboot('power cut')
    expect((await contentOf(openFileStore(files).storage)).size).toBe(1_000 * (1 + chunks))
  })
})
