import { LOSSY } from './hostile.js'
import { type Declare, assert } from './kit.js'

/** Calls that are wrong. */
export function refusals(test: Declare): void {
  for (const [what, value, place] of LOSSY) {
    test(`refuses a value that JSON would change: ${what}`, async (storage) => {
      const notes = storage.collection('notes')
      await assert.rejects(
        notes.set('a', value),
        (error: Error) => error instanceof TypeError && place.test(error.message),
      )
      assert.equal(await notes.has('a'), false)
    })
  }

  test('refuses what is no key', async (storage) => {
    const notes = storage.collection('notes')
    for (const key of ['', '\ud800', 7, null, undefined] as string[]) {
      await assert.rejects(notes.set(key, 1), TypeError)
      await assert.rejects(notes.get(key), TypeError)
    }
    await assert.rejects(notes.set('é'.repeat(1_001), 1), RangeError)
    await notes.set('é'.repeat(1_000), 1)
    assert.throws(() => storage.collection(''), TypeError)
    assert.throws(() => storage.collection('é'.repeat(251)), RangeError)
    const operation = { type: 'clear', collection: 'é'.repeat(251) } as const
    await assert.rejects(storage.batch([operation]), RangeError)
  })

  test('refuses a version that not every backend can keep', async (storage) => {
    const notes = storage.collection('notes')
    for (const version of ['a\0b', '\ud800', 7, null] as string[]) {
      await assert.rejects(notes.set('a', 1, { ifVersion: version }), TypeError)
      await assert.rejects(notes.delete('a', { ifVersion: version }), TypeError)
      await assert.rejects(notes.compareAndSet('a', version, 1), TypeError)
      for (const type of ['set', 'delete'] as const) {
        await assert.rejects(storage.batch([{ type, collection: 'notes', key: 'a', value: 1, version }]), TypeError)
      }
    }
    assert.equal(await notes.has('a'), false)
  })

  test('refuses a batch that is too large, before anything of it is sent', async (storage) => {
    const operations = Array.from({ length: 100_001 }, () => ({ type: 'clear', collection: 'notes' }) as const)
    await storage.collection('notes').set('a', 1)
    await assert.rejects(storage.batch(operations), (error: Error) => {
      return error instanceof RangeError && error.message.includes('100000')
    })
    assert.equal(await storage.collection('notes').get('a'), 1)
  })

  test('begins anew with a cursor that makes no sense, rather than rejects', async (storage) => {
    const { cursor } = await storage.changes()
    const numbers = cursor.replaceAll(/\d+/g, (number) => `${number}${'9'.repeat(30)}`)
    for (const since of ['', '\0', '.', '9'.repeat(40), `${cursor}\0`, `${cursor}\ud800`, `x${cursor}`, numbers]) {
      const page = await storage.changes({ since })
      assert.deepEqual([page.changes, page.isReset], [[], true])
    }
    for (const limit of [0, 1.5, NaN, 1e300, 10_001]) await assert.rejects(storage.changes({ limit }), RangeError)
    assert.equal((await storage.changes({ since: cursor, limit: 10_000 })).isReset, false)
  })

  test('refuses a life or a condition that makes no sense', async (storage) => {
    const notes = storage.collection('notes')
    for (const ttlMs of [0, -1, NaN, Infinity]) await assert.rejects(notes.set('a', 1, { ttlMs }), RangeError)
    await assert.rejects(notes.set('a', 1, { ttlMs: 1, expiresAt: 1 }), TypeError)
    await assert.rejects(notes.set('a', 1, { ifVersion: 'v', ifAbsent: true }), TypeError)
  })
}
