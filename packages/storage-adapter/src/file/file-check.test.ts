import { describe, expect, it } from 'vitest'
import { encodeCommit } from './journal.js'
import { CrashFiles } from '../test-support/crash-files.js'
import { contentOf, JOURNAL, leaveLocked, openFileStore, PATH, SNAPSHOT } from '../test-support/file-store.js'

/** A store with three records in its snapshot and two in its journal. */
async function store() {
  const files = new CrashFiles()
  const before = openFileStore(files, 1)
  await before.storage.collection('notes').setMany(['a', 'b', 'c'].map((key) => [key, { text: `tea ${key}` }] as const))
  while (before.storage.metrics().gauges['compactions'] === 0) await new Promise((resolve) => setImmediate(resolve))
  await before.storage.stop()
  const opened = openFileStore(files)
  const notes = opened.storage.collection('notes')
  await notes.set('d', 1)
  await notes.set('e', 2)
  return { ...opened, files, notes }
}

describe('a check of files', () => {
  it('finds nothing wrong with files that are whole, also while others write', async () => {
    const { storage, notes } = await store()
    // So many that neither reading nor comparing is done in one turn.
    await notes.setMany(Array.from({ length: 2_000 }, (_, i) => [`many ${i}`, i] as const))
    const checks: Promise<{ problems: readonly string[] }>[] = []
    for (let i = 0; i < 50; i++) {
      if (i % 10 === 0) checks.push(storage.check())
      await Promise.all([
        notes.set('d', i),
        notes.delete('a'),
        notes.set(`n${i}`, i),
        notes.set(`many ${i * 17}`, -1 - i),
      ])
      await new Promise((resolve) => setImmediate(resolve))
      if (i === 45) await notes.clear()
    }
    for (const check of checks) expect((await check).problems).toEqual([])
  })

  it.each([
    ['journal', JOURNAL],
    ['snapshot', SNAPSHOT],
  ])('finds every flipped byte of the %s on disk', async (_, path) => {
    const { storage, files } = await store()
    const whole = Buffer.from(files.content(path) ?? '')
    const end = path === JOURNAL ? (storage.metrics().gauges['journal.bytes'] ?? 0) : whole.length
    for (let offset = 0; offset < end; offset++) {
      const damaged = Buffer.from(whole)
      damaged.writeUInt8(damaged.readUInt8(offset) ^ 0xff, offset)
      files.plant(path, damaged)
      const { ok, problems } = await storage.check()
      expect(ok, `byte ${offset}`).toBe(false)
      expect(problems[0], `byte ${offset}`).toContain(PATH)
    }
  })

  it('says which records are not on disk as they are in memory', async () => {
    const { storage, files } = await store()
    const head = (files.content(JOURNAL) ?? Buffer.alloc(0)).subarray(0, storage.metrics().gauges['journal.bytes'])
    const { sequence } = JSON.parse(head.toString().split('\n')[0] ?? '') as { sequence: number }
    const put = { type: 'put', collection: 'notes', expiresAt: undefined, expected: undefined } as const
    const other = encodeCommit(sequence + 1, [{ ...put, key: 'd', json: '3', version: 'other' }])
    files.plant(JOURNAL, Buffer.concat([head.subarray(0, head.indexOf(0x0a) + 1), other]))
    expect((await storage.check()).problems).toEqual([
      '"d" in "notes" is not on disk as it is in memory.',
      '"e" in "notes" is not on disk as it is in memory.',
      '"d" in "notes" is not in memory as it is on disk.',
    ])
  })

  it('says that a file is gone', async () => {
    const { storage, files } = await store()
    await files.remove(JOURNAL)
    expect((await storage.check()).problems).toEqual([expect.stringContaining('is missing beside its snapshot')])
  })

  it('ends when its signal aborts', async () => {
    const { storage } = await store()
    const controller = new AbortController()
    const check = storage.check({ signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(check).rejects.toThrow('enough')
  })

  it('waits for a compaction that is under way', async () => {
    const files = new CrashFiles()
    const { storage } = openFileStore(files, 300)
    const notes = storage.collection('notes')
    let letGo = (): void => undefined
    const held = new Promise<void>((resolve) => (letGo = resolve))
    files.beforeSync = (path) => (path === `${SNAPSHOT}.tmp` ? held : undefined)
    for (let i = 0; i < 5; i++) await notes.set(`k${i}`, 'x'.repeat(60))
    const check = storage.check()
    await notes.set('k1', 'later')
    letGo()
    expect((await check).problems).toEqual([])
    expect(storage.metrics().gauges['compactions']).toBe(1)
  })
})

describe('files after a crash', () => {
  it('are opened with the news that they were not closed, and by whom', async () => {
    const { files } = await store()
    const owner = { pid: 4_711, since: 0, bootId: 'earlier' }
    files.reboot('kill')
    files.plant(`${PATH}/lock`, Buffer.from(JSON.stringify(owner)))
    const { storage, news } = openFileStore(files)
    expect((await contentOf(storage)).size).toBe(5)
    expect(news).toMatchObject([{ what: 'file', from: 'unclean', to: 'up', severity: 'WARNING' }])
    expect(news[0]?.message).toContain('process 4711')
    await storage.stop()
    const again = openFileStore(files)
    await again.storage.start()
    expect(again.news).toEqual([])
  })

  it('keep nothing of an unfinished write whose sectors were written in any order', async () => {
    const files = new CrashFiles()
    const { storage } = openFileStore(files)
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    const before = storage.metrics().gauges['journal.bytes'] ?? 0
    await Promise.all(['b', 'c', 'd', 'e'].map((key) => notes.set(key, 'x'.repeat(400))))
    const whole = Buffer.from(files.content(JOURNAL) ?? '')
    const end = storage.metrics().gauges['journal.bytes'] ?? 0
    const sectors = Array.from({ length: Math.ceil(end / 512) - Math.floor(before / 512) }, (_, i) => i)
    for (let lost = 1; lost < 2 ** sectors.length; lost++) {
      const torn = Buffer.from(whole)
      for (const sector of sectors) {
        const at = (Math.floor(before / 512) + sector) * 512
        if ((lost & (1 << sector)) !== 0) torn.fill(0x20, Math.max(before, at), at + 512)
      }
      files.plant(JOURNAL, torn)
      files.reboot('kill')
      leaveLocked(files)
      const opened = openFileStore(files)
      const keys = [...(await contentOf(opened.storage)).keys()].join('')
      expect('abcde'.startsWith(keys), `${keys} of ${lost.toString(2)}`).toBe(true)
      expect(keys).toMatch(/^a/)
      expect(opened.events.filter((event) => event !== 'repaired')).toEqual([])
      await opened.storage.stop()
    }
  })
})
