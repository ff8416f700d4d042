import fc from 'fast-check'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileStorage } from './file-storage.js'
import { encodeHeader } from './journal.js'
import { identifySelf } from './process-identity.js'
import type { Storage } from '../storage.js'
import type { StorageError } from '../errors.js'
import { CrashFiles, type CrashKind } from '../test-support/crash-files.js'
import { contentOf, JOURNAL, leaveLocked, openFileStore, SNAPSHOT } from '../test-support/file-store.js'

/** Five commits on a disk: three keys, one overwritten, one deleted. */
async function smallStore(): Promise<{ files: CrashFiles; states: Map<string, unknown>[] }> {
  const files = new CrashFiles()
  const { storage } = openFileStore(files)
  const notes = storage.collection('notes')
  const states = [new Map<string, unknown>()]
  const keep = async (write: Promise<unknown>): Promise<void> => {
    await write
    states.push(await contentOf(storage))
  }
  await keep(notes.set('a', { text: 'tea' }))
  await keep(notes.set('b', 'é'))
  await keep(notes.set('a', { text: 'coffee' }))
  await keep(notes.delete('b'))
  await keep(notes.set('c', [1, 2, 3]))
  await storage.stop()
  return { files, states }
}

function linesBefore(bytes: Buffer, offset: number): number {
  return bytes.subarray(0, offset).filter((byte) => byte === 0x0a).length
}

describe('FileStorage after damage', () => {
  it('opens the longest whole beginning of a journal that is cut anywhere', async () => {
    const { files, states } = await smallStore()
    const journal = Buffer.from(files.content(JOURNAL) ?? '')
    for (let cut = 0; cut < journal.length; cut++) {
      files.plant(JOURNAL, journal.subarray(0, cut))
      files.reboot('kill')
      leaveLocked(files)
      const { storage, events } = openFileStore(files)
      const lines = linesBefore(journal, cut)
      if (lines === 0) {
        await expect(storage.start(), `cut at ${cut}`).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' })
        expect(files.content(JOURNAL)).toHaveLength(cut)
        continue
      }
      expect(await contentOf(storage), `cut at ${cut}`).toEqual(states[lines - 1])
      const isBetweenLines = journal[cut - 1] === 0x0a
      expect(events, `cut at ${cut}`).toEqual(isBetweenLines ? [] : ['repaired'])
      await storage.collection('notes').set('new', 1)
      await storage.stop()
      const again = openFileStore(files)
      expect(await again.storage.collection('notes').get('new')).toBe(1)
      expect(again.events).toEqual([])
      await again.storage.stop()
    }
  })

  it.each([
    ['journal', JOURNAL, undefined],
    ['snapshot', SNAPSHOT, 1],
  ])(
    'notices every flipped bit of a %s, and keeps what it did not hit',
    async (_, path, compactBytes) => {
      const { files, states } = await smallStore()
      if (compactBytes !== undefined) {
        const { storage } = openFileStore(files, compactBytes)
        await storage.collection('notes').set('c', [1, 2, 3])
        await storage.stop()
      }
      const bytes = Buffer.from(files.content(path) ?? '')
      const otherPath = path === JOURNAL ? SNAPSHOT : JOURNAL
      const other = files.content(otherPath)
      const whole = states.at(-1)
      const seen = new Set<string>()
      for (let offset = 0; offset < bytes.length; offset++) {
        for (let bit = 0; bit < 8; bit++) {
          const damaged = Buffer.from(bytes)
          damaged.writeUInt8(damaged.readUInt8(offset) ^ (1 << bit), offset)
          files.plant(path, damaged)
          if (other !== undefined) files.plant(otherPath, other)
          files.reboot('kill')
          const { storage, events } = openFileStore(files)
          const at = `bit ${bit} of byte ${offset}`
          try {
            await storage.start()
          } catch (error) {
            expect((error as StorageError).code, at).toBe('STORAGE_CORRUPT')
            expect(linesBefore(bytes, offset), at).toBe(0)
            expect(files.content(path), at).toEqual(damaged)
            seen.add('refused')
            continue
          }
          expect(events.length, at).toBeGreaterThan(0)
          const content = await contentOf(storage)
          // At most the commits of two lines are missing: the one that was hit, and the next when a line break was.
          if (path === SNAPSHOT) expect(content.size, at).toBeGreaterThanOrEqual((whole?.size ?? 0) - 2)
          const known = states.flatMap((state) => [...state]).map((entry) => JSON.stringify(entry))
          for (const entry of content) expect(known, at).toContain(JSON.stringify(entry))
          for (const event of events) seen.add(event)
          if (events.includes('quarantined'))
            expect(files.paths.some((each) => each.includes('quarantine-'))).toBe(true)
          await storage.stop()
          const again = openFileStore(files)
          expect(await contentOf(again.storage), at).toEqual(content)
          expect(again.events, at).toEqual([])
          await again.storage.stop()
        }
      }
      expect(seen).toContain('refused')
      expect(seen).toContain('quarantined')
    },
    180_000,
  )

  it.each([
    ['empty', Buffer.alloc(0)],
    ['full of zeros', Buffer.alloc(4_096)],
    ['something else', Buffer.from('{"notes":{}}\n')],
  ])('refuses a journal that is %s, and leaves it as it is', async (_, bytes) => {
    const { files } = await smallStore()
    files.plant(JOURNAL, bytes)
    const { storage } = openFileStore(files)
    await expect(storage.start()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT', applied: 'no', path: JOURNAL })
    expect(files.content(JOURNAL)).toEqual(bytes)
  })

  it('refuses a journal that is missing beside its snapshot, or that begins behind it', async () => {
    const { files } = await smallStore()
    const compacting = openFileStore(files, 1).storage
    await compacting.collection('notes').set('d', 1)
    await compacting.stop()
    const snapshot = files.content(SNAPSHOT) as Buffer
    await files.remove(JOURNAL)
    await expect(openFileStore(files).storage.start()).rejects.toThrow('is missing beside its snapshot')
    files.plant(JOURNAL, encodeHeader({ format: 'evenkeel-journal', formatVersion: 1, sequence: 99 }))
    files.plant(SNAPSHOT, snapshot)
    files.reboot('kill')
    await expect(openFileStore(files).storage.start()).rejects.toThrow('begins after commit 99')
  })

  it('refuses files of a newer version, naming both', async () => {
    const files = new CrashFiles()
    files.plant(JOURNAL, encodeHeader({ format: 'evenkeel-journal', formatVersion: 2, sequence: 0 }))
    await expect(openFileStore(files).storage.start()).rejects.toMatchObject({
      code: 'STORAGE_FORMAT',
      found: '2',
      supported: '1',
    })
  })
})

describe('FileStorage on a bad disk', () => {
  type Outcome = 'acknowledged' | 'no' | 'unknown'

  /** Writes six values, some together, and notes what it was told. */
  async function scenario(storage: Storage): Promise<Map<string, Outcome>> {
    const told = new Map<string, Outcome>()
    const notes = storage.collection('notes')
    const write = async (key: string): Promise<void> => {
      told.set(key, 'unknown')
      await notes.set(key, { key, text: 'x'.repeat(50) }).then(
        () => told.set(key, 'acknowledged'),
        (error: StorageError) => {
          expect(error.code).toBe('STORAGE_UNAVAILABLE')
          told.set(key, error.applied)
        },
      )
    }
    await write('a')
    await write('b')
    await Promise.all([write('c'), write('d'), write('e')])
    await write('f')
    await write('g')
    return told
  }

  async function expectKept(files: CrashFiles, told: Map<string, Outcome>, at: string): Promise<void> {
    const { storage, events } = openFileStore(files)
    const content = await contentOf(storage)
    for (const [key, outcome] of told) {
      const value = content.get(key)
      if (value !== undefined) expect(value, at).toEqual({ key, text: 'x'.repeat(50) })
      if (outcome === 'acknowledged') expect(value, `${at}: acknowledged ${key}`).toBeDefined()
      if (outcome === 'no') expect(value, `${at}: refused ${key}`).toBeUndefined()
    }
    expect(events, at).not.toContain('quarantined')
    await storage.stop()
  }

  async function countSteps(compactBytes: number): Promise<number> {
    const files = new CrashFiles()
    await scenario(openFileStore(files, compactBytes).storage)
    return files.steps
  }

  describe.each([
    ['without compaction', 1_000_000],
    ['while it compacts', 250],
  ])('%s', (_, compactBytes) => {
    it.each([
      ['with EIO', 'EIO', 1],
      ['and the next three with ENOSPC', 'ENOSPC', 4],
      ['and all after it with EROFS', 'EROFS', Infinity],
    ])('keeps its word whichever step fails %s', async (_, code, count) => {
      const steps = await countSteps(compactBytes)
      expect(steps).toBeGreaterThan(15)
      for (let step = 1; step <= steps; step++) {
        const files = new CrashFiles()
        files.failAt = step
        files.failCount = count
        files.failCode = code
        const { storage } = openFileStore(files, compactBytes)
        const told = await scenario(storage)
        const at = `step ${step}, ${files.log[step - 1]}`
        const acknowledged = [...told.values()].filter((outcome) => outcome === 'acknowledged').length
        if (count === 1) expect(acknowledged, at).toBeGreaterThanOrEqual(4)
        files.failAt = Infinity
        await storage.collection('notes').set('later', { key: 'later', text: 'x'.repeat(50) })
        told.set('later', 'acknowledged')
        expect((await storage.check()).problems, at).toEqual([])
        files.reboot('power cut')
        await expectKept(files, told, at)
      }
    })

    it('keeps its word on a disk that is full after any number of bytes, and goes on when there is room', async () => {
      let refused = 0
      for (let capacity = 300; capacity < 3_000; capacity += 13) {
        const files = new CrashFiles()
        files.capacity = capacity
        const { storage } = openFileStore(files, compactBytes)
        const told = await scenario(storage)
        refused += [...told.values()].filter((outcome) => outcome === 'no').length
        const at = `full after ${capacity} bytes`
        expect([...told.values()], at).not.toContain('unknown')
        files.capacity = Infinity
        await storage.collection('notes').set('later', { key: 'later', text: 'x'.repeat(50) })
        told.set('later', 'acknowledged')
        expect((await storage.check()).problems, at).toEqual([])
        files.reboot('power cut')
        await expectKept(files, told, at)
      }
      expect(refused).toBeGreaterThan(100)
    })

    it.each<CrashKind>(['kill', 'power cut'])('keeps its word when a %s ends any step', async (kind) => {
      const steps = await countSteps(compactBytes)
      for (let step = 1; step <= steps; step++) {
        const files = new CrashFiles()
        files.crashAt = step
        const told = await scenario(openFileStore(files, compactBytes).storage)
        const at = `${kind} at step ${step}, ${files.log[step - 1]}`
        // The dead process cannot be told what happened, so a refusal counts as unknown.
        for (const [key, outcome] of told) if (outcome === 'no') told.set(key, 'unknown')
        files.reboot(kind)
        await expectKept(files, told, at)
      }
    })
  })

  it('takes back what a failed write left before it says that it failed', async () => {
    const files = new CrashFiles()
    const { storage } = openFileStore(files)
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    files.failAt = files.steps + 1
    // Half of the three lines is more than one.
    const writes = await Promise.allSettled(['b', 'c', 'd'].map((key) => notes.set(key, 2)))
    expect(writes).toMatchObject(writes.map(() => ({ reason: { applied: 'no' } })))
    files.reboot('kill')
    expect(await contentOf(openFileStore(files).storage)).toEqual(new Map([['a', 1]]))
  })

  it('writes everything when the disk takes a few bytes at a time', async () => {
    const files = new CrashFiles()
    files.maxWrite = 7
    const told = await scenario(openFileStore(files, 250).storage)
    expect(new Set(told.values())).toEqual(new Set(['acknowledged']))
    files.reboot('power cut')
    await expectKept(files, told, 'short writes')
  })

  it('never acknowledges a write that stop() overtakes', async () => {
    for (let round = 0; round < 20; round++) {
      const files = new CrashFiles()
      const { storage } = openFileStore(files)
      const write = storage
        .collection('notes')
        .set('a', round)
        .then(
          () => true,
          () => false,
        )
      await storage.stop()
      const isAcknowledged = await write
      const content = await contentOf(openFileStore(files).storage)
      if (isAcknowledged) expect(content.get('a')).toBe(round)
      else expect(content.size).toBe(0)
    }
  })

  it('refuses a snapshot that was cut between two lines, rather than open without what is gone', async () => {
    const { files } = await smallStore()
    const { storage } = openFileStore(files, 1)
    await storage.collection('notes').set('c', [1, 2, 3])
    await storage.stop()
    const snapshot = Buffer.from(files.content(SNAPSHOT) ?? '')
    for (let cut = snapshot.indexOf(10) + 1; cut < snapshot.lastIndexOf('{'); cut = snapshot.indexOf(10, cut) + 1) {
      files.plant(SNAPSHOT, snapshot.subarray(0, cut))
      files.reboot('kill')
      await expect(openFileStore(files).storage.start()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' })
      expect(files.content(SNAPSHOT)).toHaveLength(cut)
      leaveLocked(files)
    }
  })

  it('tells when it cannot write, and when it can again', async () => {
    const files = new CrashFiles()
    const { storage, events } = openFileStore(files)
    await storage.start()
    files.failAt = files.steps + 1
    await expect(storage.collection('notes').set('a', 1)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      applied: 'no',
    })
    expect(events).toEqual(['change'])
    expect((await storage.health()).status).toBe('up')
    expect(events).toEqual(['change', 'change'])
  })

  it('syncs once for all who write at the same time', async () => {
    const files = new CrashFiles()
    const { storage } = openFileStore(files)
    await storage.start()
    files.log.length = 0
    const notes = storage.collection('notes')
    await Promise.all(Array.from({ length: 100 }, (_, i) => notes.set(`k${i}`, i)))
    expect(files.log.filter((step) => step.startsWith('datasync'))).toHaveLength(1)
  })

  it('agrees with a plain map over any history of operations, stops and crashes', async () => {
    const key = fc.constantFrom('a', 'b', 'c', '\u{1f600}')
    const operation = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key, value: fc.integer() }),
      fc.record({ do: fc.constant('delete' as const), key }),
      fc.record({ do: fc.constantFrom('clear' as const, 'restart' as const, 'kill' as const, 'power cut' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (history) => {
        const files = new CrashFiles()
        const model = new Map<string, unknown>()
        let { storage } = openFileStore(files, 400)
        for (const step of history) {
          const notes = storage.collection('notes')
          if (step.do === 'set') model.set(step.key, (await notes.set(step.key, step.value), step.value))
          else if (step.do === 'delete') model.delete((await notes.delete(step.key), step.key))
          else if (step.do === 'clear') await notes.clear().then(() => model.clear())
          else {
            if (step.do === 'restart') await storage.stop()
            else files.reboot(step.do)
            storage = openFileStore(files, 400).storage
          }
          expect(await contentOf(storage)).toEqual(model)
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('FileStorage on the real disk', () => {
  let directory: string

  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'evenkeel-file-')), 'store')
  })
  afterEach(() => rm(join(directory, '..'), { recursive: true }))

  it('is unavailable while junk lies where its directory was, and goes on when that is back', async () => {
    const path = join(directory, 'notes')
    const storage = new FileStorage({ path })
    const notes = storage.collection<string>('notes')
    await notes.set('a', 'tea')
    await rename(path, `${path}-away`)
    await writeFile(path, 'junk')
    await expect(notes.set('b', 'milk')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    await rm(path)
    await rename(`${path}-away`, path)
    await notes.set('c', 'sugar')
    expect(await notes.getMany(['a', 'b', 'c'])).toEqual(
      new Map([
        ['a', 'tea'],
        ['c', 'sugar'],
      ]),
    )
    await storage.stop()
  })

  /** A lock as another process would have left it. */
  async function leaveLock(owner: object): Promise<void> {
    const storage = new FileStorage({ path: directory })
    await storage.collection('notes').set('a', 1)
    await storage.stop()
    await writeFile(join(directory, 'lock'), JSON.stringify({ ...identifySelf(), since: 0, ...owner }))
  }

  function deadPid(): number {
    return spawnSync(process.execPath, ['-e', '']).pid
  }

  it('writes lines that a person and any JSON tool can read', async () => {
    const storage = new FileStorage({ path: directory })
    await storage.collection('notes').set('7:1', { text: 'tea' })
    await storage.stop()
    const lines = (await readFile(join(directory, 'journal.jsonl'), 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { format: 'evenkeel-journal', formatVersion: 1 },
      { sequence: 1, changes: [{ set: '7:1', in: 'notes', value: { text: 'tea' } }] },
    ])
  })

  it('refuses a second owner, naming the first', async () => {
    const storage = new FileStorage({ path: directory })
    await storage.start()
    const second = new FileStorage({ path: directory })
    await expect(second.start()).rejects.toMatchObject({ code: 'STORAGE_LOCKED', pid: process.pid })
    await storage.stop()
    await second.start()
    await second.stop()
  })

  it('takes over from a process that is gone', async () => {
    await leaveLock({ pid: deadPid() })
    const storage = new FileStorage({ path: directory })
    expect(await storage.collection('notes').get('a')).toBe(1)
    await storage.stop()
  })

  it.skipIf(process.platform !== 'linux').each([
    ['its number was given to another process', { pid: process.ppid, startTicks: '1' }],
    ['the machine was started anew', { pid: process.ppid, bootId: 'earlier' }],
  ])('takes over when %s', async (_, owner) => {
    await leaveLock(owner)
    const storage = new FileStorage({ path: directory })
    expect(await storage.collection('notes').get('a')).toBe(1)
    await storage.stop()
  })

  it.skipIf(process.platform !== 'linux')(
    'lets another container take over, and then writes no more itself',
    async () => {
      const first = new FileStorage({ path: directory })
      await first.collection('notes').set('a', 1)
      const lock = JSON.parse(await readFile(join(directory, 'lock'), 'utf8')) as object
      await writeFile(join(directory, 'lock'), JSON.stringify({ ...lock, pidNamespace: 'pid:[1]' }))
      const second = new FileStorage({ path: directory })
      await second.collection('notes').set('b', 2)
      await expect(first.collection('notes').set('c', 3)).rejects.toMatchObject({
        code: 'STORAGE_UNAVAILABLE',
        applied: 'no',
      })
      await first.stop()
      expect(await second.collection('notes').count()).toBe(2)
      await second.stop()
    },
  )

  it('rejects while its directory is moved away, and goes on when it is back', async () => {
    const storage = new FileStorage({ path: directory })
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    await rename(directory, `${directory}-moved`)
    await expect(notes.set('b', 2)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    await expect(storage.health()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    await rename(`${directory}-moved`, directory)
    await notes.set('c', 3)
    await storage.stop()
    const again = new FileStorage({ path: directory })
    expect([...(await again.collection('notes').getMany(['a', 'b', 'c'])).keys()]).toEqual(['a', 'c'])
    await again.stop()
  })

  it('survives a listener that throws, and warns', async () => {
    await leaveLock({ pid: deadPid() })
    await writeFile(join(directory, 'journal.jsonl'), `${await readFile(join(directory, 'journal.jsonl'), 'utf8')}{"cr`)
    const storage = new FileStorage({ path: directory })
    storage.on('repaired', () => {
      throw new Error('no')
    })
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    expect(await storage.collection('notes').get('a')).toBe(1)
    expect((await warned).code).toBe('EVENKEEL_LISTENER')
    await storage.stop()
  })
})
