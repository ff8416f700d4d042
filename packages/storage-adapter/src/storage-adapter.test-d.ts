import { FaultyStorage } from '@evenkeel/testing'
import { FailoverStorage, FileStorage, MemoryStorage, type Collection, type Storage } from './index.js'
import { SqliteStorage } from './sqlite.js'

interface Note {
  text: string
  done: boolean
}

// Every storage is a `Storage`, and so is what wraps one.
const memory: Storage = new MemoryStorage()
const faulty: Storage = new FaultyStorage(memory).storage
export const storage: Storage = new FailoverStorage({ primary: faulty, path: 'a', writers: 'one' })
export const others: Storage[] = [new FileStorage({ path: 'c' }), new SqliteStorage({ path: 'd' })]

// A Map and a collection are no storage.
// @ts-expect-error a Map has no collections
export const map: Storage = new Map<string, unknown>()
// @ts-expect-error a collection is not the storage that it belongs to
new FailoverStorage({ primary: memory.collection('notes'), path: 'a', writers: 'one' })

// Only one writer is possible, and it must be said.
// @ts-expect-error several writers are not supported
new FailoverStorage({ primary: memory, path: 'a', writers: 'several' })
// @ts-expect-error the number of writers must be declared
new FailoverStorage({ primary: memory, path: 'a' })
// @ts-expect-error a misspelt option
new FileStorage({ path: 'a', compactByte: 1 })

const notes: Collection<Note> = memory.collection<Note>('notes')

export async function use(): Promise<void> {
  const note: Note | undefined = await notes.get('a')
  await notes.set('a', { text: 'tea', done: note?.done ?? false }, { ttlMs: 1_000, ifAbsent: true })
  const { value } = (await notes.update('a', (old) => ({ ...old, done: true }))) ?? { value: undefined }
  const kept: 'primary' | 'journal' | undefined = (await notes.compareAndSet('a', undefined, { text: '', done: false }))
    ?.kept
  void [value?.text, kept]
  // @ts-expect-error a note has a text
  await notes.set('a', { done: true })
  // @ts-expect-error keys are strings
  await notes.get(7)
  // @ts-expect-error a batch has no such operation
  await memory.batch([{ type: 'increment', collection: 'notes', key: 'a' }])
  // @ts-expect-error a clear names no key
  await memory.batch([{ type: 'clear', collection: 'notes', key: 'a' }])
}
