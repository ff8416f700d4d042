import { type Declare, assert, collect, rejects } from './kit.js'

/** Records that cease to exist. */
export function expiry(test: Declare): void {
  test('finds what is live behind many that expired', async (storage, clock) => {
    const notes = storage.collection<number>('notes')
    const keys = Array.from({ length: 310 }, (_, i) => `k${String(i).padStart(3, '0')}`)
    const options = { expiresAt: clock.now() + 1_000 }
    await storage.batch(
      keys.map((key, value) => {
        const set = { type: 'set', collection: 'notes', key, value } as const
        return value < 300 ? { ...set, ...options } : set
      }),
    )
    clock.skip(1_000)
    const live = keys.slice(300)
    for (const reverse of [false, true]) {
      const found = (await collect(notes, { reverse, limit: 10 })).map(({ key }) => key)
      assert.deepEqual(reverse ? found.reverse() : found, live)
    }
    assert.equal(await notes.count({ prefix: 'k' }), 10)
    assert.equal(await notes.count({ prefix: 'k0' }), 0)
  })

  test('treats what expired as absent in every operation', async (storage, clock) => {
    const notes = storage.collection<number>('notes')
    const { version } = await notes.set('a', 1, { ttlMs: 1_000 })
    await notes.set('b', 2, { expiresAt: clock.now() + 5_000 })
    clock.skip(999)
    assert.equal(await notes.get('a'), 1)
    clock.skip(1)
    assert.equal(await notes.get('a'), undefined)
    assert.equal(await notes.entry('a'), undefined)
    assert.equal(await notes.has('a'), false)
    assert.equal((await notes.getMany(['a', 'b'])).size, 1)
    assert.equal(await notes.count(), 1)
    assert.deepEqual(
      (await collect(notes)).map(({ key }) => key),
      ['b'],
    )
    await rejects(notes.set('a', 2, { ifVersion: version }), 'STORAGE_CONFLICT')
    await rejects(notes.delete('a', { ifVersion: version }), 'STORAGE_CONFLICT')
    await notes.set('a', 3, { ifAbsent: true })
    assert.deepEqual(await notes.entry('a').then((entry) => entry?.expiresAt), undefined)
    clock.skip(4_000)
    assert.equal(await notes.get('b'), undefined)
    assert.equal(await notes.get('a'), 3)
  })

  test('hides a collection of which everything expired', async (storage, clock) => {
    await storage.collection('short').set('a', 1, { ttlMs: 10 })
    assert.deepEqual(await storage.collections(), ['short'])
    clock.skip(10)
    assert.deepEqual(await storage.collections(), [])
  })
}
