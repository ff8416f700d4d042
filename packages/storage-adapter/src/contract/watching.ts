import { type Declare, Watched, assert, rejects } from './kit.js'

/** Watches, of one storage. */
export function watching(test: Declare): void {
  test('tells what happens to the records of a collection, beginning with a reset', async (storage) => {
    const notes = storage.collection<number>('notes')
    await notes.set('n:before', 0)
    await using watch = new Watched(notes.watch({ prefix: 'n:' }))
    const start = await watch.next()
    assert.deepEqual([start.type, start.type === 'reset' && start.why], ['reset', 'start'])
    await storage.collection('other').set('n:a', 1)
    await notes.set('m:a', 1)
    const { version } = await notes.set('n:a', 1, { expiresAt: 32_503_680_000_000 })
    const set = await watch.next()
    assert.deepEqual(set, {
      type: 'set',
      key: 'n:a',
      value: 1,
      version,
      expiresAt: 32_503_680_000_000,
      cursor: set.cursor,
    })
    const removed = await notes.delete('n:a')
    const deleted = await watch.next()
    assert.deepEqual(deleted, { type: 'delete', key: 'n:a', version: removed.version, cursor: deleted.cursor })
    await notes.clear()
    const cleared = await watch.next()
    assert.deepEqual(cleared, { type: 'reset', why: 'clear', cursor: cleared.cursor })
  })

  test('tells every record of a batch, and nothing of one that failed', async (storage) => {
    const notes = storage.collection<number>('notes')
    await using watch = new Watched(notes.watch())
    await watch.next()
    await rejects(notes.set('failed', 0, { ifVersion: 'none' }), 'STORAGE_CONFLICT')
    await notes.setMany(Array.from({ length: 700 }, (_, i) => [`k${i}`, i]))
    const keys = new Set<string>()
    while (keys.size < 700) {
      const notice = await watch.next()
      assert.equal(notice.type, 'set')
      if (notice.type === 'set') keys.add(notice.key)
    }
    assert.equal(keys.has('failed'), false)
  })

  test('goes on where an earlier watch ended, and tells what the record is by then', async (storage) => {
    const notes = storage.collection<number>('notes')
    const first = new Watched(notes.watch())
    const { cursor } = await first.next()
    await first[Symbol.asyncDispose]()
    await notes.set('a', 1)
    await notes.set('a', 2)
    await notes.set('b', 3)
    await notes.delete('c')
    await using second = new Watched(notes.watch({ since: cursor }))
    const notices = [await second.next(), await second.next(), await second.next()]
    assert.deepEqual(
      notices.map((notice) => (notice.type === 'set' ? [notice.key, notice.value] : notice.type)),
      [['a', 2], ['b', 3], 'delete'],
    )
    await using third = new Watched(notes.watch({ since: notices[2]?.cursor ?? '' }))
    await notes.set('d', 4)
    const next = await third.next()
    assert.equal(next.type === 'set' && next.key, 'd')
  })

  test('begins anew with a cursor that it does not know', async (storage) => {
    await using watch = new Watched(storage.collection('notes').watch({ since: 'of another log.1' }))
    const notice = await watch.next()
    assert.deepEqual(notice, { type: 'reset', why: 'gap', cursor: notice.cursor })
  })

  test('ends a watch that is let go, whose signal aborts, or whose storage stops', async (storage) => {
    const notes = storage.collection('notes')
    const letGo = new Watched(notes.watch())
    await letGo.next()
    const pending = letGo.isDone()
    await letGo[Symbol.asyncDispose]()
    assert.equal(await pending, true)

    const controller = new AbortController()
    const aborted = new Watched(notes.watch({ signal: controller.signal }))
    await aborted.next()
    controller.abort()
    assert.equal(await aborted.isDone(), true)
    assert.equal(await new Watched(notes.watch({ signal: controller.signal })).isDone(), true)

    const stopped = new Watched(notes.watch())
    await stopped.next()
    await storage.stop()
    assert.equal(await stopped.isDone(), true)
  })

  test('gives the log of all collections, page by page', async (storage) => {
    const { cursor, changes } = await storage.changes()
    assert.deepEqual(changes, [])
    const { versions } = await storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 1 },
      { type: 'delete', collection: 'b', key: 'l' },
      { type: 'clear', collection: 'c' },
    ])
    const expected = [
      { type: 'put', collection: 'a', key: 'k', version: versions[0] },
      { type: 'delete', collection: 'b', key: 'l', version: versions[1] },
      { type: 'clear', collection: 'c', key: '', version: versions[2] },
    ]
    const first = await storage.changes({ since: cursor, limit: 2 })
    const second = await storage.changes({ since: first.cursor })
    // Of one commit, the order need not be that of its operations.
    const sorted = [...first.changes, ...second.changes].sort((a, b) => (a.collection < b.collection ? -1 : 1))
    assert.deepEqual(sorted, expected)
    assert.deepEqual((await storage.changes({ since: second.cursor })).changes, [])
    await assert.rejects(storage.changes({ limit: 0 }), RangeError)
  })
}
