import Conf from 'conf'
import { fdatasyncSync, openSync, writeSync, closeSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { JSONFilePreset } from 'lowdb/node'
import { FileStorage, MemoryStorage } from '@evenkeel/storage-adapter'
import { createStorage, type Driver } from 'unstorage'
import fsDriver from 'unstorage/drivers/fs'
import { measure, print } from '../measure.js'
import { keyAt, makeKeys, nextNote, oneByOne, together, type Note } from './documents.js'

const DOCUMENTS = 10_000

/** Durable writes into files, beside what the disk takes at least and beside stores that rewrite everything. */
export async function files(): Promise<void> {
  const keys = makeKeys(DOCUMENTS)
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const floor = await open(join(directory, 'floor'), 'a')
  const syncFloor = openSync(join(directory, 'sync-floor'), 'a')
  const lowdb = await JSONFilePreset<Record<string, Note>>(join(directory, 'lowdb.json'), {})
  const conf = new Conf<Record<string, Note>>({
    cwd: directory,
    projectName: 'bench',
    accessPropertiesByDotNotation: false,
  })
  const unstorage = createStorage<Note>({ driver: fsDriver({ base: join(directory, 'unstorage') }) as Driver })
  const memory = new MemoryStorage()
  const file = new FileStorage({ path: join(directory, 'file') })
  try {
    const all = keys.map((key) => [key, nextNote()] as const)
    for (const store of [memory, file]) await store.collection<Note>('notes').setMany(all)
    lowdb.data = Object.fromEntries(all)
    conf.store = Object.fromEntries(all)
    const notes = file.collection<Note>('notes')
    const inMemory = memory.collection<Note>('notes')

    print(
      `files: an awaited set of a 280-byte document among ${DOCUMENTS}`,
      await measure(
        [
          {
            name: 'floor: append a line, fdatasync',
            run: (count) =>
              oneByOne(count, async () => {
                await floor.write(`${JSON.stringify(nextNote())}\n`)
                await floor.datasync()
              }),
          },
          {
            name: 'the same, blocking the event loop',
            run: (count) =>
              oneByOne(count, () => {
                writeSync(syncFloor, `${JSON.stringify(nextNote())}\n`)
                fdatasyncSync(syncFloor)
              }),
          },
          { name: 'evenkeel file', run: (count) => oneByOne(count, (i) => notes.set(keyAt(keys, i), nextNote())) },
          { name: 'evenkeel memory', run: (count) => oneByOne(count, (i) => inMemory.set(keyAt(keys, i), nextNote())) },
          {
            name: 'unstorage fs (not durable, not atomic)',
            run: (count) => oneByOne(count, (i) => unstorage.setItem(keyAt(keys, i), nextNote())),
          },
          {
            name: 'lowdb (not durable)',
            share: 0.01,
            run: (count) =>
              oneByOne(count * 0.01, (i) => {
                lowdb.data[keyAt(keys, i)] = nextNote()
                return lowdb.write()
              }),
          },
          {
            name: 'conf',
            share: 0.01,
            run: (count) => oneByOne(count * 0.01, (i) => conf.set(keyAt(keys, i), nextNote())),
          },
        ],
        500,
        7,
      ),
    )

    print(
      'files: the same with callers at once, per write',
      await measure(
        [
          {
            name: 'floor: append a line, fdatasync, alone',
            share: 0.05,
            run: (count) =>
              oneByOne(count * 0.05, async () => {
                await floor.write(`${JSON.stringify(nextNote())}\n`)
                await floor.datasync()
              }),
          },
          ...[10, 100].map((callers) => ({
            name: `evenkeel file, ${callers} callers`,
            run: (count: number) => together(count, callers, (i) => notes.set(keyAt(keys, i), nextNote())),
          })),
        ],
        10_000,
        7,
      ),
    )

    const map = new Map(all.map(([key, note]) => [key, JSON.stringify(note)]))
    print(
      `files: a get of a 280-byte document among ${DOCUMENTS}`,
      await measure(
        [
          {
            name: 'floor: Map, JSON.parse',
            run: (count) => oneByOne(count, (i) => JSON.parse(map.get(keyAt(keys, i)) ?? '') as Note),
          },
          { name: 'evenkeel memory', run: (count) => oneByOne(count, (i) => inMemory.get(keyAt(keys, i))) },
          { name: 'evenkeel file', run: (count) => oneByOne(count, (i) => notes.get(keyAt(keys, i))) },
          {
            name: 'unstorage fs',
            share: 0.02,
            run: (count) => oneByOne(count * 0.02, (i) => unstorage.getItem(keyAt(keys, i))),
          },
        ],
        20_000,
        7,
      ),
    )
  } finally {
    await floor.close()
    closeSync(syncFloor)
    await file.stop()
    await rm(directory, { recursive: true, force: true })
  }
}
