import { type Declare, assert, collect } from './kit.js'

/** The order of keys, and walks through them. */
export function scanning(test: Declare): void {
  test('scans by code point, which is not the order of UTF-16', async (storage) => {
    const notes = storage.collection('notes')
    const ordered = [
      '!',
      'A',
      'a',
      'a\0',
      'aa',
      'b',
      'é',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{1f600}',
      '\u{10ffff}',
    ]
    await notes.setMany([...ordered].reverse().map((key) => [key, 1]))
    assert.deepEqual(
      (await collect(notes)).map(({ key }) => key),
      ordered,
    )
    assert.deepEqual(
      (await collect(notes, { reverse: true })).map(({ key }) => key),
      [...ordered].reverse(),
    )
    const range = await collect(notes, { after: 'aa', before: '\uffff' })
    assert.deepEqual(
      range.map(({ key }) => key),
      ['b', 'é', '\ud7ff', '\ue000'],
    )
  })

  test('takes a prefix literally', async (storage) => {
    const notes = storage.collection('notes')
    const keys = [
      '%',
      '%a',
      '*',
      'a%',
      'a%b',
      'a_',
      'ab',
      'a\uffff',
      'a\u{10ffff}',
      'a\u{10ffff}b',
      'b',
      '\u{10ffff}',
      '\u{10ffff}\u{10ffff}',
    ]
    await notes.setMany(keys.map((key) => [key, 1]))
    for (const prefix of ['%', 'a%', 'a_', 'a', '*', 'a\u{10ffff}', '\u{10ffff}']) {
      const expected = keys.filter((key) => key.startsWith(prefix))
      assert.deepEqual((await collect(notes, { prefix })).map(({ key }) => key).sort(), expected.sort())
      assert.equal(await notes.count({ prefix }), expected.length)
    }
  })

  test('scans many pages, with a limit and both ends', async (storage) => {
    const notes = storage.collection<number>('notes')
    const keys = Array.from({ length: 600 }, (_, i) => `n:${String(i).padStart(4, '0')}`)
    await notes.setMany(keys.map((key, i) => [key, i]))
    await notes.set('other', -1)
    const scan = async (options: Parameters<typeof notes.scan>[0]): Promise<number[]> =>
      (await collect(notes, { prefix: 'n:', ...options })).map(({ value }) => value)
    const all = keys.map((_, i) => i)
    assert.deepEqual(await scan({}), all)
    assert.deepEqual(await scan({ reverse: true }), [...all].reverse())
    assert.deepEqual(await scan({ limit: 300, after: 'n:0099' }), all.slice(100, 400))
    assert.deepEqual(await scan({ reverse: true, limit: 3, before: 'n:0010' }), [9, 8, 7])
    assert.deepEqual(await scan({ limit: 0 }), [])
  })

  test('lets records be deleted while it scans', async (storage) => {
    const notes = storage.collection('notes')
    await notes.setMany(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]))
    for await (const { key } of notes.scan()) await notes.delete(key)
    assert.equal(await notes.count(), 0)
  })
}
