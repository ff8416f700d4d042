import { describe, expect, it } from 'vitest'
import { World } from '../test-support/rollout-bot.js'
import { readRecord, type RolloutRecord } from './rollout-record.js'

async function someRecord(): Promise<RolloutRecord> {
  const world = new World()
  const { rollout, store } = world.process()
  await rollout.start()
  await rollout.stop()
  return store.record as RolloutRecord
}

describe('the record of a rollout', () => {
  it('is read as it was written', async () => {
    const record = await someRecord()
    expect(readRecord('rollout/newSearch', JSON.parse(JSON.stringify(record)))).toEqual(record)
  })

  it.each<[string, (record: RolloutRecord) => unknown, string]>([
    ['a newer format', (record) => ({ ...record, format: 2 }), 'it has format 2. This release reads format 1'],
    ['no format', () => ({ newSearch: true }), 'it carries no format version'],
    ['no object', () => 'RUNNING', 'it carries no format version'],
    [
      'a state that is none',
      (record) => ({ ...record, run: { ...record.run, state: 'toString' } }),
      'its field "state"',
    ],
    [
      'a share that is none',
      (record) => ({ ...record, run: { ...record.run, share: { percentage: 101 } } }),
      '"share"',
    ],
    ['a missing field', ({ owner: _, ...rest }) => rest, 'its field "owner" is missing or malformed'],
    ['a damaged history', (record) => ({ ...record, history: [null] }), 'its field "history"'],
  ])('is refused with %s', async (_, damage, message) => {
    const record = await someRecord()
    expect(() => readRecord('rollout/newSearch', damage(record))).toThrow(message)
  })

  it('of a newer release stops a start, and stops a driver, without being written over', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    await rollout.start()
    const newer = { value: { format: 2 }, version: 'newer' }
    world.records.entries.set('rollout/newSearch', newer)
    await world.clock.advance(60_000)
    expect(rollout.status.controller).toBe('STOPPED')
    expect(await rollout.finished).toMatchObject({ outcome: 'STOPPED' })
    const other = world.process()
    await expect(other.rollout.start()).rejects.toMatchObject({ code: 'ROLLOUT_FORMAT', found: 2, supported: 1 })
    expect(store.records.entries.get('rollout/newSearch')).toEqual(newer)
    expect(world.clock.pending).toBe(0)
    await rollout.stop()
  })

  it('remembers the last fifty transitions, and numbers them on', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    for (let i = 0; i < 40; i++) {
      await rollout.pause({ why: 'lunch' })
      await rollout.resume({ why: 'back' })
    }
    expect(rollout.history).toHaveLength(50)
    expect(rollout.history.at(-1)?.sequence).toBe(81)
    expect(world.told).toHaveLength(81)
    await rollout.stop()
  })
})
