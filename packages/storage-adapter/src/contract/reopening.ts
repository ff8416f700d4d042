import { type Declare, type Make, assert } from './kit.js'

/** What is left when a storage is opened anew. */
export function reopening(test: Declare, reopen: Make): void {
  test('keeps values, versions and expiry when it is opened again', async (storage, clock) => {
    const notes = storage.collection('notes')
    await notes.set('a', { text: 'tea', balance: -0 }, { ttlMs: 1_000 })
    await notes.set('gone', 1)
    await notes.delete('gone')
    const before = await notes.entry('a')
    await storage.stop()
    const again = await reopen(clock)
    try {
      const collection = again.collection('notes')
      assert.deepEqual(await collection.entry('a'), before)
      assert.equal(await collection.get('gone'), undefined)
      clock.skip(1_000)
      assert.equal(await collection.get('a'), undefined)
    } finally {
      await again.stop()
    }
  })

  test('commits a named batch once, also when it is opened again', async (storage, clock) => {
    const operations = [{ type: 'set', collection: 'a', key: 'k', value: 1 }] as const
    await storage.batch(operations, { once: 'event' })
    await storage.stop()
    const again = await reopen(clock)
    try {
      assert.equal((await again.batch(operations, { once: 'event' })).applied, false)
      assert.equal((await again.batch(operations, { once: 'event 2' })).applied, true)
    } finally {
      await again.stop()
    }
  })
}

/** The log of changes, when a storage is opened anew. */
export function reopeningTheLog(test: Declare, reopen: Make): void {
  test('keeps the log of changes when it is opened again', async (storage, clock) => {
    const { cursor } = await storage.changes()
    const { version } = await storage.collection('notes').set('a', 1)
    await storage.stop()
    const again = await reopen(clock)
    try {
      const { changes, isReset } = await again.changes({ since: cursor })
      assert.equal(isReset, false)
      assert.deepEqual(changes, [{ type: 'put', collection: 'notes', key: 'a', version }])
    } finally {
      await again.stop()
    }
  })
}
