import { type Declare, assert, rejects } from './kit.js'

/** Versions, and writes that depend on them. */
export function conditions(test: Declare): void {
  test('writes under a condition only when it holds', async (storage) => {
    const notes = storage.collection('notes')
    const first = await notes.set('a', 1, { ifAbsent: true })
    await rejects(notes.set('a', 2, { ifAbsent: true }), 'STORAGE_CONFLICT')
    const second = await notes.set('a', 2, { ifVersion: first.version })
    await rejects(notes.set('a', 3, { ifVersion: first.version }), 'STORAGE_CONFLICT')
    await rejects(notes.delete('a', { ifVersion: first.version }), 'STORAGE_CONFLICT')
    assert.equal(await notes.get('a'), 2)
    await notes.delete('a', { ifVersion: second.version })
    await rejects(notes.set('a', 4, { ifVersion: second.version }), 'STORAGE_CONFLICT')
    assert.equal(await notes.has('a'), false)
  })

  test('tells the loser of compareAndSet by a value', async (storage) => {
    const notes = storage.collection('notes')
    const attempts = await Promise.all([1, 2, 3].map((value) => notes.compareAndSet('a', undefined, value)))
    const won = attempts.filter((receipt) => receipt !== undefined)
    assert.equal(won.length, 1)
    assert.equal(await notes.compareAndSet('a', undefined, 9), undefined)
    assert.notEqual(await notes.compareAndSet('a', won[0]?.version, 9), undefined)
    assert.equal(await notes.get('a'), 9)
  })

  test('lets one failed condition harm no neighbour', async (storage) => {
    const notes = storage.collection<number>('notes')
    await notes.set('taken', 1)
    const results = await Promise.allSettled([
      notes.set('a', 1),
      notes.set('taken', 2, { ifAbsent: true }),
      notes.set('b', 2),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(
      [...(await notes.getMany(['a', 'b', 'taken']))],
      [
        ['a', 1],
        ['b', 2],
        ['taken', 1],
      ],
    )
  })

  test('has exactly one winner of many who saw the same version', async (storage) => {
    const notes = storage.collection<number>('notes')
    const { version } = await notes.set('a', 0)
    const attempts = Array.from({ length: 20 }, (_, i) => notes.compareAndSet('a', version, i + 1))
    const winners = (await Promise.all(attempts)).flatMap((receipt, i) => (receipt === undefined ? [] : [i + 1]))
    assert.equal(winners.length, 1)
    assert.equal(await notes.get('a'), winners[0])
  })

  test('loses no update of one key', async (storage) => {
    const scores = storage.collection<number>('scores')
    await Promise.all(Array.from({ length: 20 }, () => scores.update('a', (score) => score + 1, { initial: 0 })))
    assert.equal(await scores.get('a'), 20)
  })

  test('skips an update of an absent key, and keeps the expiry of a present one', async (storage, clock) => {
    const notes = storage.collection<{ n: number }>('notes')
    assert.equal(await notes.update('a', (note) => note), undefined)
    await notes.set('a', { n: 1 }, { ttlMs: 1_000 })
    const before = await notes.entry('a')
    const result = await notes.update('a', async ({ n }) => ({ n: n + 1 }))
    assert.deepEqual(result?.value, { n: 2 })
    assert.equal((await notes.entry('a'))?.expiresAt, before?.expiresAt)
    clock.skip(1_000)
    assert.equal(await notes.update('a', (note) => note), undefined)
  })
}
