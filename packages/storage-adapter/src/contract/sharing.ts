import type { Clock } from '../ports.js'
import type { Storage } from '../storage.js'
import { neverTorn } from './batches.js'
import { type Declare, Watched, assert, rejects } from './kit.js'

/** Two storages of one store. */
export function sharing(test: Declare, join: (clock: Clock) => Storage | Promise<Storage>): void {
  const shared = (name: string, body: (mine: Storage, theirs: Storage) => Promise<void>): void =>
    test(name, async (mine, clock) => {
      await mine.start()
      const theirs = await join(clock)
      try {
        await body(mine, theirs)
      } finally {
        await theirs.stop()
      }
    })

  shared('shares records, conditions and versions with another storage', async (mine, theirs) => {
    const { version } = await mine.collection('notes').set('a', 1)
    assert.equal((await theirs.collection('notes').entry('a'))?.version, version)
    await theirs.collection('notes').set('a', 2, { ifVersion: version })
    await rejects(mine.collection('notes').set('a', 3, { ifVersion: version }), 'STORAGE_CONFLICT')
    assert.equal(await mine.collection('notes').get('a'), 2)
  })

  shared('sees a batch of another storage whole or not at all', neverTorn)

  shared('has one winner of a key that two want', async (mine, theirs) => {
    for (let round = 0; round < 20; round++) {
      const attempts = [mine, theirs].map((storage) =>
        storage.collection('seats').compareAndSet(`${round}`, undefined, 1),
      )
      const won = (await Promise.all(attempts)).filter((receipt) => receipt !== undefined)
      assert.equal(won.length, 1)
    }
  })

  shared('loses no update of one key that two make', async (mine, theirs) => {
    const add = (storage: Storage): Promise<unknown>[] =>
      Array.from({ length: 25 }, () => storage.collection<number>('n').update('k', (n) => n + 1, { initial: 0 }))
    await Promise.all([...add(mine), ...add(theirs)])
    assert.equal(await mine.collection('n').get('k'), 50)
  })

  shared('commits a batch of one name once, whoever asks', async (mine, theirs) => {
    const operations = [{ type: 'set', collection: 'a', key: 'k', value: 1 }] as const
    const receipts = await Promise.all([mine, theirs].map((storage) => storage.batch(operations, { once: 'event' })))
    assert.deepEqual(receipts.map(({ applied }) => applied).sort(), [false, true])
  })

  shared(
    'never lets two batches both write what each made depend on the absence of the other',
    async (mine, theirs) => {
      for (let round = 0; round < 20; round++) {
        const claim = (storage: Storage, own: string, other: string): Promise<unknown> =>
          storage.batch([
            { type: 'check', collection: `duty ${round}`, key: other, ifAbsent: true },
            { type: 'set', collection: `duty ${round}`, key: own, value: 1 },
          ])
        const outcomes = await Promise.allSettled([claim(mine, 'a', 'b'), claim(theirs, 'b', 'a')])
        const kept = outcomes.filter(({ status }) => status === 'fulfilled').length
        assert.equal(await mine.collection(`duty ${round}`).count(), kept)
        assert.equal(kept <= 1, true)
      }
    },
  )

  shared('tells a watch what another storage does', async (mine, theirs) => {
    await using watch = new Watched(mine.collection<number>('notes').watch())
    await watch.next()
    const { version } = await theirs.collection('notes').set('a', 1)
    const notice = await watch.next()
    assert.deepEqual([notice.type, notice.type === 'set' && notice.version], ['set', version])
    await theirs.collection('notes').delete('a')
    assert.equal((await watch.next()).type, 'delete')
  })
}
