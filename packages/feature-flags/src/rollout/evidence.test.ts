import { describe, expect, it } from 'vitest'
import type { FaultyRolloutStore } from '../test-support/faulty-rollout-store.js'
import { hour, World, type Process } from '../test-support/rollout-bot.js'
import { readEvidence } from './evidence.js'
import type { RolloutRecord } from './rollout-record.js'
import type { Traffic } from './traffic.js'

const minute = 60_000
const second = 1_000

/** Calls in many guilds, so that there is much to be remembered. */
function serve({ flags }: Process, calls: number): void {
  for (let i = 0; i < calls; i++) flags.ran(i % 2 === 0 ? 'on' : 'off', false, `10${10 ** 15 + i}`)
}

/** Whenever something is written: what the record says, with the evidence that it names. */
function watchWrites(store: FaultyRolloutStore, seen: (record: RolloutRecord) => void): void {
  store.beforeWrite = () => {
    if (store.record !== undefined) seen(store.record)
  }
}

describe('the evidence of a rollout', () => {
  it('is kept beside the record, and written once a minute, so that little is written every 15 seconds', async () => {
    const world = new World()
    const process = world.process()
    await process.rollout.start()
    serve(process, 2_000)
    await world.clock.advance(2 * minute)
    const record = JSON.stringify(process.store.record).length
    const evidence = JSON.stringify(process.store.evidence).length
    expect(record).toBeLessThan(2_000)
    expect(evidence).toBeGreaterThan(50_000)
    process.store.written = 0
    await world.clock.advance(10 * minute)
    expect(process.store.written).toBeGreaterThan(9 * evidence)
    expect(process.store.written).toBeLessThan(10.5 * evidence + 50 * record)
    await process.rollout.stop()
  })

  it('is always there, complete, and of no earlier time than the record that names it', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    const ahead: number[] = []
    watchWrites(store, ({ run }) => {
      ahead.push(run.phase === 0 ? run.healthyMs - (store.evidence?.traffic.forMs ?? -1) : 0)
    })
    await rollout.start()
    await world.clock.advance(hour + 10 * minute)
    expect(Math.max(...ahead)).toBe(0)
    expect(ahead.length).toBeGreaterThan(240)
    await rollout.stop()
  })

  it('is written with each transition, before it', async () => {
    const world = new World()
    const process = world.process()
    await process.rollout.start()
    await world.clock.advance(hour - 10 * second)
    for (let i = 0; i < 7; i++) process.flags.ran('on')
    await world.clock.advance(11 * second)
    expect(process.store.record?.run.phaseName).toBe('canary')
    expect(process.store.evidence?.judge.calls).toBe(7)
    await process.rollout.stop()
  })

  it('of less than a minute is lost with a killed driver, and its healthy time with it; no call counts twice', async () => {
    const world = new World()
    const [first, second] = [world.process(), world.process()]
    await first.rollout.start()
    await second.rollout.start()
    serve(second, 10)
    await world.clock.advance(10 * minute + 55_000)
    serve(second, 6)
    await world.clock.advance(3_000)
    expect(first.rollout.status.healthyMs).toBeGreaterThan(10.5 * minute)
    const { healthyMs } = first.store.record!.run
    expect(healthyMs).toBeGreaterThanOrEqual(10 * minute - 15_000)
    first.kill()
    await world.clock.advance(75_000)
    expect(second.rollout.status).toMatchObject({ controller: 'DRIVING', phase: 'testers' })
    await world.clock.advance(2 * minute)
    expect(second.store.evidence?.judge.calls).toBe(16)
    expect(second.rollout.status.healthyMs - healthyMs).toBeLessThan(3.5 * minute)
    await second.rollout.stop()
  })

  it('is written down when its driver stops', async () => {
    const world = new World()
    const { rollout, store, flags } = world.process()
    await rollout.start()
    await world.clock.advance(1)
    flags.ran('on')
    await world.clock.advance(46_000)
    await rollout.stop()
    expect(store.evidence?.judge.calls).toBe(1)
    expect(store.record?.run.healthyMs).toBe(45_000)
  })

  it('cannot be overwritten, nor removed, by a driver that was fenced off', async () => {
    for (const fault of ['lands late', 'written but hangs'] as const) {
      const world = new World()
      const [old, next] = [world.process(), world.process()]
      await old.rollout.start()
      await next.rollout.start()
      for (let i = 0; i < 5; i++) next.flags.ran('on')
      await world.clock.advance(59_000)
      old.store.faults.set(old.store.writes + 1, fault)
      await world.clock.advance(2_000)
      old.store.isDown = true
      await world.clock.advance(2 * minute)
      expect(next.rollout.status.controller).toBe('DRIVING')
      const { evidence } = next.store
      old.store.land()
      old.store.isDown = false
      await world.clock.advance(5_000)
      expect(next.store.evidence).toEqual(evidence)
      expect(old.rollout.status.controller).toBe('STANDBY')
      await world.clock.advance(5 * minute)
      expect(next.store.evidence?.judge.calls).toBe(5)
      await old.rollout.stop()
      await next.rollout.stop()
    }
  })

  it('is never written twice under one name, whoever drives', async () => {
    const world = new World()
    const names: string[] = []
    const { entries } = world.records
    const set = entries.set.bind(entries)
    entries.set = (key, entry) => (key.includes('/evidence/') && names.push(key), set(key, entry))
    const [first, second] = [world.process(), world.process()]
    for (const { rollout } of [first, second, first, second]) {
      await rollout.start()
      await world.clock.advance(3 * minute)
      await rollout.stop()
    }
    expect(names.length).toBeGreaterThan(10)
    expect(new Set(names).size).toBe(names.length)
  })

  it('that a killed driver has left behind is removed by the next', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await world.clock.advance(59_000)
    first.store.faults.set(first.store.writes + 1, 'written but hangs')
    await world.clock.advance(3_000)
    first.kill()
    expect(first.store.allEvidence).toHaveLength(2)
    const second = world.process()
    await second.rollout.start()
    await world.clock.advance(2 * minute)
    expect(second.rollout.status.controller).toBe('DRIVING')
    expect(second.store.allEvidence).toEqual([second.store.record?.evidence])
    await second.rollout.stop()
  })

  it('that is gone takes the healthy time of its phase with it', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await world.clock.advance(50 * minute)
    await first.rollout.stop()
    world.records.entries.delete(first.store.record?.evidence ?? '')
    const second = world.process()
    await second.rollout.start()
    await world.clock.advance(59 * minute)
    expect(second.rollout.status).toMatchObject({ state: 'RUNNING', phase: 'testers' })
    expect(second.store.record?.run.healthyMs).toBeLessThan(hour)
    await world.clock.advance(2 * minute)
    expect(second.rollout.status.phase).toBe('canary')
    await second.rollout.stop()
  })

  it('is small when the run is over, and enough for the next one to begin with', async () => {
    const world = new World()
    const process = world.process()
    await process.rollout.start()
    serve(process, 2_000)
    await world.clock.advance(5 * minute)
    await process.rollout.abort({ why: 'not today' })
    expect(process.store.evidence).toMatchObject({ judge: { calls: 0, earlier: 2_000 }, counted: {} })
    expect(JSON.stringify(process.store.evidence).length).toBeLessThan(1_000)
    expect(process.store.allEvidence).toHaveLength(1)
    await process.rollout.stop()
    await process.rollout.start({ retry: true })
    await world.clock.advance(2 * minute)
    expect(process.store.evidence?.judge).toEqual({ calls: 0, earlier: 2_000 })
    await process.rollout.stop()
  })

  it('stops whoever cannot read it, and is not written over', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await first.rollout.stop()
    const name = first.store.record?.evidence ?? ''
    world.records.entries.set(name, { value: { format: 2 }, version: 'newer' })
    const second = world.process()
    await expect(second.rollout.start()).rejects.toMatchObject({ code: 'ROLLOUT_FORMAT', found: 2, key: name })
    expect(world.records.entries.get(name)).toEqual({ value: { format: 2 }, version: 'newer' })
    await second.rollout.stop()
  })

  it.each<[string, (evidence: Record<string, unknown>) => unknown, string]>([
    ['no object', () => 'calls', 'has format undefined'],
    ['no judge', ({ judge: _, ...rest }) => rest, '"judge"'],
    ['counts of nobody', (all) => ({ ...all, counted: { a: { format: 1 } } }), '"counted"'],
    ['counts that are a list', (all) => ({ ...all, counted: [] }), '"counted"'],
    ['traffic that is none', (all) => ({ ...all, traffic: { forMs: 1 } }), '"calls"'],
    [
      'times that are none',
      (all) => ({ ...all, traffic: { ...(all['traffic'] as Traffic), before: null } }),
      '"before"',
    ],
  ])('is refused with %s', async (_, damage, message) => {
    const world = new World()
    const { rollout, store } = world.process()
    await rollout.start()
    const evidence = { ...store.evidence! }
    expect(readEvidence('it', evidence)).toMatchObject({ counted: evidence.counted })
    expect(() => readEvidence('it', damage(evidence))).toThrow(message)
    await rollout.stop()
  })
})

it('whoever stands by after the end looks once in a lease, and no more', async () => {
  const world = new World()
  const { rollout, store } = world.process()
  await rollout.start()
  await rollout.abort({ why: 'not today' })
  await world.clock.advance(minute)
  const { operations } = store
  await world.clock.advance(10 * minute)
  expect(store.operations - operations).toBe(10)
  await rollout.stop()
})
