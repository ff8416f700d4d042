import { open, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { JSONFilePreset } from 'lowdb/node'
import { FileStorage, MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { measure, print, type Candidate } from './measure.js'

interface Note {
  readonly text: string
  readonly done: boolean
  readonly revision: number
}

const keys = Array.from({ length: 1_000 }, (_, index) => `81384788765712384:${index}`)

/** A note of some 280 bytes. Each is another one: SQLite does not write a page that has not changed. */
function note(revision: number): Note {
  return { text: 'a cup of tea, '.repeat(17), done: false, revision }
}

/** Durable writes of small documents, one after another and a hundred at a time, and reads. */
export async function storage(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const floor = await open(join(directory, 'floor'), 'a')
  const lowdb = await JSONFilePreset<Record<string, Note>>(join(directory, 'lowdb.json'), {})
  const memory = new MemoryStorage()
  const file = new FileStorage({ path: join(directory, 'file') })
  const sqlite = new SqliteStorage({ path: join(directory, 'bench.db') })
  const stores: [string, Storage][] = [
    ['memory', memory],
    ['file', file],
    ['SQLite', sqlite],
  ]
  try {
    for (const [, store] of stores) await store.collection<Note>('notes').setMany(keys.map((key) => [key, note(0)]))
    for (const key of keys) lowdb.data[key] = note(0)
    let revision = 1

    const durable: Candidate[] = [
      {
        name: 'floor: append a line, fdatasync',
        async run(count) {
          for (let i = 0; i < count; i++) {
            await floor.write(`${JSON.stringify(note(revision++))}\n`)
            await floor.datasync()
          }
        },
      },
      ...stores.map(([name, store]) => ({
        name: `evenkeel ${name} set`,
        async run(count: number) {
          const notes = store.collection<Note>('notes')
          for (let i = 0; i < count; i++) await notes.set(keyAt(i), note(revision++))
        },
      })),
      {
        name: 'lowdb, write of all 1,000 (not durable)',
        async run(count) {
          for (let i = 0; i < count * 0.1; i++) {
            lowdb.data[keyAt(i)] = note(revision++)
            await lowdb.write()
          }
        },
        share: 0.1,
      },
    ]
    print('storage: set of a 280-byte document among 1,000, each awaited', await measure(durable, 200))

    const together: Candidate[] = stores.map(([name, store]) => ({
      name: `evenkeel ${name} set, 100 callers`,
      async run(count) {
        const notes = store.collection<Note>('notes')
        for (let done = 0; done < count; done += 100) {
          await Promise.all(Array.from({ length: 100 }, (_, i) => notes.set(keyAt(done + i), note(revision++))))
        }
      },
    }))
    print(
      'storage: the same with a hundred callers at once, per write',
      await measure(
        [...durable.slice(0, 1).map((one) => ({ ...one, share: 0.02, run: slowly(one) })), ...together],
        10_000,
      ),
    )

    const reads: Candidate[] = [
      {
        name: 'floor: Map, JSON.parse',
        run(count) {
          const map = new Map(keys.map((key) => [key, JSON.stringify(note(0))]))
          for (let i = 0; i < count; i++) JSON.parse(map.get(keyAt(i)) ?? '')
        },
      },
      ...stores.map(([name, store]) => ({
        name: `evenkeel ${name} get`,
        async run(count: number) {
          const notes = store.collection<Note>('notes')
          for (let i = 0; i < count; i++) await notes.get(keyAt(i))
        },
      })),
    ]
    print('storage: get of a 280-byte document among 1,000', await measure(reads, 20_000))
  } finally {
    await floor.close()
    for (const [, store] of stores) await store.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

function keyAt(index: number): string {
  return keys[index % keys.length] ?? ''
}

/** A fiftieth of the work, for a candidate that has to wait for the disk each time. */
function slowly(candidate: Candidate): Candidate['run'] {
  return (count) => candidate.run(count * 0.02)
}
