import { HOSTILE_KEYS, LONGEST_KEY, LONGEST_NAME, VALUES } from './hostile.js'
import { type Declare, assert } from './kit.js'

/** What is written is read, whatever it is called and whatever it is. */
export function readingAndWriting(test: Declare): void {
  test('reads what was written, and undefined for what was not', async (storage) => {
    const notes = storage.collection('notes')
    assert.equal(await notes.get('a'), undefined)
    assert.equal(await notes.entry('a'), undefined)
    assert.equal(await notes.has('a'), false)
    const { version } = await notes.set('a', { text: 'tea' })
    assert.deepEqual(await notes.get('a'), { text: 'tea' })
    assert.deepEqual(await notes.entry('a'), { value: { text: 'tea' }, version, expiresAt: undefined })
    assert.equal(await notes.has('a'), true)
    assert.deepEqual(await notes.getMany(['a', 'b']), new Map([['a', { text: 'tea' }]]))
    await notes.delete('a')
    assert.equal(await notes.get('a'), undefined)
    await notes.delete('a')
  })

  test('gives every write a version of its own', async (storage) => {
    const notes = storage.collection('notes')
    const receipts = [
      await notes.set('a', 1),
      await notes.set('a', 1),
      await notes.delete('a'),
      await notes.set('a', 1),
    ]
    assert.equal(new Set(receipts.map(({ version }) => version)).size, 4)
  })

  test('hands out copies', async (storage) => {
    const notes = storage.collection<{ list: number[] }>('notes')
    const mine = { list: [1] }
    await notes.set('a', mine)
    mine.list.push(2)
    const read = await notes.get('a')
    read?.list.push(3)
    assert.deepEqual(await notes.get('a'), { list: [1] })
  })

  test('keeps hostile keys and collection names apart', async (storage) => {
    for (const name of HOSTILE_KEYS) await storage.collection(name).set('k', name)
    const notes = storage.collection('notes')
    await notes.setMany(HOSTILE_KEYS.map((key) => [key, key]))
    for (const key of HOSTILE_KEYS) {
      assert.equal(await notes.get(key), key)
      assert.equal(await storage.collection(key).get('k'), key)
    }
    assert.equal(await notes.count(), HOSTILE_KEYS.length)
    assert.deepEqual((await storage.collections()).sort(), [...HOSTILE_KEYS, 'notes'].sort())
  })

  test('keeps the longest key in a collection with the longest name', async (storage) => {
    assert.deepEqual([LONGEST_NAME.length, LONGEST_KEY.length], [500, 2_000])
    const notes = storage.collection(LONGEST_NAME)
    await notes.set(LONGEST_KEY, 1)
    // With a condition, which is another way to write on some backends.
    await storage.batch([
      { type: 'check', collection: LONGEST_NAME, key: LONGEST_KEY.slice(1), ifAbsent: true },
      { type: 'set', collection: LONGEST_NAME, key: LONGEST_KEY, value: 2 },
    ])
    assert.equal(await notes.get(LONGEST_KEY), 2)
    assert.deepEqual(await storage.collections(), [LONGEST_NAME])
  })

  test('keeps every JSON value as it is', async (storage) => {
    const notes = storage.collection('notes')
    for (const [i, value] of VALUES.entries()) {
      await notes.set(`v${i}`, value)
      assert.deepEqual(await notes.get(`v${i}`), value)
    }
  })

  test('keeps a value of 16 MB', async (storage) => {
    const notes = storage.collection<string>('notes')
    const value = 'evenkeel'.repeat(2 ** 21)
    await notes.set('large', value)
    assert.equal((await notes.get('large')) === value, true)
  })

  test('clears one collection and not its neighbour with a longer name', async (storage) => {
    await storage.collection('users').setMany([
      ['a', 1],
      ['b', 2],
    ])
    await storage.collection('users2').set('a', 3)
    await storage.collection('users').clear()
    assert.equal(await storage.collection('users').count(), 0)
    assert.equal(await storage.collection('users').get('a'), undefined)
    assert.equal(await storage.collection('users2').get('a'), 3)
  })
}
