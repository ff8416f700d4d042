import { HOSTILE_KEYS, VALUES } from './hostile.js'
import { type Declare, assert, collect, rejects } from './kit.js'

/** Checks and metrics. */
export function inspection(test: Declare): void {
  test('finds nothing wrong with what it wrote', async (storage) => {
    for (const [i, key] of HOSTILE_KEYS.entries()) await storage.collection(key).set(key, VALUES[i % VALUES.length])
    const { ok, problems, tookMs } = await storage.check()
    assert.deepEqual(problems, [])
    assert.equal(ok, true)
    assert.equal(tookMs >= 0, true)
    await assert.rejects(storage.check({ signal: AbortSignal.abort() }))
  })

  test('counts what was asked of it', async (storage) => {
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    await notes.get('a')
    await notes.getMany(['a', 'b'])
    await notes.count()
    await collect(notes)
    await rejects(notes.set('a', 2, { ifAbsent: true }), 'STORAGE_CONFLICT')
    const { operations, gauges } = storage.metrics()
    assert.deepEqual([operations.read.count, operations.count.count, operations.scan.count], [2, 1, 1])
    assert.deepEqual([operations.write.count, operations.write.errors], [2, 1])
    const { p50Ms, p95Ms, p99Ms, maxMs } = operations.write
    assert.equal(p50Ms <= p95Ms && p95Ms <= p99Ms && p99Ms <= maxMs, true)
    for (const value of Object.values(gauges)) assert.equal(Number.isFinite(value), true)
  })
}

/** Start, stop and health. */
export function life(test: Declare): void {
  test('says that it is up, may be started and stopped twice, and rejects when stopped', async (storage) => {
    await storage.start()
    await storage.start()
    assert.equal((await storage.health()).status, 'up')
    await storage.stop()
    await storage.stop()
    await rejects(storage.collection('notes').get('a'), 'STORAGE_UNAVAILABLE')
    await rejects(storage.health(), 'STORAGE_UNAVAILABLE')
    await storage.start()
    assert.equal((await storage.health()).status, 'up')
  })

  test('keeps what was written before it was stopped and started', async (storage) => {
    await storage.collection('notes').set('a', 1)
    await storage.stop()
    await storage.start()
    assert.equal(await storage.collection('notes').get('a'), 1)
  })
}
