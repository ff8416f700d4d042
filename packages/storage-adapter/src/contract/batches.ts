import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Storage } from '../storage.js'
import { type Declare, assert, rejects } from './kit.js'

/** Writes a batch again and again, and reads it meanwhile. */
export async function neverTorn(writer: Storage, reader: Storage): Promise<void> {
  const numbers = writer.collection<number>('numbers')
  const seen = reader.collection<number>('numbers')
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
  await numbers.setMany(keys.map((key) => [key, 0]))
  for (let round = 1; round <= 10; round++) {
    let isWriting = true
    const writing = numbers.setMany(keys.map((key) => [key, round])).finally(() => (isWriting = false))
    const reading = (async (): Promise<void> => {
      while (isWriting) {
        const values = await seen.getMany(keys)
        assert.deepEqual([values.size, new Set(values.values()).size], [keys.length, 1])
        await nextTurn()
      }
    })()
    await Promise.all([writing, reading])
  }
}

/** Many changes at once. */
export function batches(test: Declare): void {
  test('commits a batch across collections whole or not at all', async (storage) => {
    const { version } = await storage.collection('a').set('k', 1)
    const receipt = await storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 2, ifVersion: version },
      { type: 'set', collection: 'b', key: 'k', value: 2, ifAbsent: true },
      { type: 'delete', collection: 'c', key: 'k' },
    ])
    assert.equal(receipt.applied, true)
    assert.equal((await storage.collection('b').entry('k'))?.version, receipt.versions[1])
    const lost = storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 3 },
      { type: 'clear', collection: 'b' },
      { type: 'set', collection: 'a', key: 'l', value: 3, ifVersion: version },
    ])
    await rejects(lost, 'STORAGE_CONFLICT')
    assert.equal(await storage.collection('a').get('k'), 2)
    assert.equal(await storage.collection('b').get('k'), 2)
  })

  test('applies the operations of a batch in their order', async (storage) => {
    const notes = storage.collection<number>('notes')
    const place = { collection: 'notes' } as const
    await notes.set('old', 0)
    await storage.batch([
      { type: 'set', ...place, key: 'a', value: 1 },
      { type: 'clear', ...place },
      { type: 'set', ...place, key: 'b', value: 2 },
      { type: 'delete', ...place, key: 'c' },
      { type: 'set', ...place, key: 'c', value: 3 },
      { type: 'set', ...place, key: 'd', value: 4 },
      { type: 'delete', ...place, key: 'd' },
    ])
    const left: unknown[] = []
    for await (const { key, value } of notes.scan()) left.push([key, value])
    assert.deepEqual(left, [
      ['b', 2],
      ['c', 3],
    ])
  })

  test('shows those who read meanwhile a batch whole or not at all', (storage) => neverTorn(storage, storage))

  test('judges all conditions of a batch before its first change', async (storage) => {
    await storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 1, ifAbsent: true },
      { type: 'set', collection: 'a', key: 'k', value: 2, ifAbsent: true },
    ])
    assert.equal(await storage.collection('a').get('k'), 2)
  })

  test('checks without writing', async (storage) => {
    const { version } = await storage.collection('lease').set('owner', 'me')
    const write = { type: 'set', collection: 'a', key: 'k', value: 1 } as const
    const check = { type: 'check', collection: 'lease', key: 'owner' } as const
    await storage.batch([{ ...check, ifVersion: version }, write])
    await rejects(storage.batch([{ ...check, ifVersion: 'other' }, write]), 'STORAGE_CONFLICT')
    await rejects(storage.batch([{ ...check, ifAbsent: true }, write]), 'STORAGE_CONFLICT')
    assert.equal((await storage.collection('lease').entry('owner'))?.version, version)
  })

  test('commits a named batch once', async (storage) => {
    const operations = [{ type: 'set', collection: 'a', key: 'k', value: 1 }] as const
    assert.equal((await storage.batch(operations, { once: 'event 1' })).applied, true)
    await storage.collection('a').delete('k')
    assert.equal((await storage.batch(operations, { once: 'event 1' })).applied, false)
    assert.equal(await storage.collection('a').has('k'), false)
    assert.equal((await storage.batch(operations, { once: 'event 2' })).applied, true)
  })

  test('does not remember the name of a batch that failed', async (storage) => {
    const operation = { type: 'set', collection: 'a', key: 'k', value: 1 } as const
    await rejects(storage.batch([{ ...operation, ifVersion: 'none' }], { once: 'event' }), 'STORAGE_CONFLICT')
    assert.equal((await storage.batch([operation], { once: 'event' })).applied, true)
  })

  test('keeps a version that it is given', async (storage) => {
    const { versions } = await storage.batch([{ type: 'set', collection: 'a', key: 'k', value: 1, version: 'mine' }])
    assert.deepEqual(versions, ['mine'])
    assert.equal((await storage.collection('a').entry('k'))?.version, 'mine')
  })

  test('takes an empty batch', async (storage) => {
    assert.deepEqual(await storage.batch([]), { applied: true, kept: 'primary', versions: [] })
  })
}
