import { describe, expect, it } from 'vitest'
import { hour, World, type Process } from '../test-support/rollout-bot.js'

const minute = 60_000
const slow = { intervalMs: 5 * minute, leaseMs: 10 * minute, settleMs: 5 * minute }

/** Two processes, of which the first drives until it ends, and the second counts calls, too. */
async function playWith(
  prepare: (driver: Process) => void,
): Promise<{ world: World; driver: Process; other: Process }> {
  const world = new World()
  const [driver, other] = [world.process(slow), world.process(slow)] as const
  prepare(driver)
  const during = (work: Promise<unknown>): Promise<unknown> => {
    return Promise.all([work.catch(() => undefined), world.clock.advance(20_000)])
  }
  await during(driver.rollout.start())
  await during(other.rollout.start())
  for (let i = 0; i < 4; i++) other.flags.ran('off')
  await world.clock.advance(hour + 12 * minute)
  for (let i = 0; i < 3; i++) other.flags.ran('on')
  await world.clock.advance(30 * minute)
  await during(other.rollout.rollback({ why: 'harm' }))
  await world.clock.advance(hour)
  return { world, driver, other }
}

function expectSound({ world, other }: { world: World; other: Process }): void {
  const { record, evidence, allEvidence } = other.store
  expect(record?.run.state).toBe('ROLLED_BACK')
  expect(record?.owner).toBeNull()
  expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
  // One event for an audit of each transition; of one that was told as the process died there may be two, of one name.
  const told = new Map(world.told.map((each) => [each.id, each]))
  expect([...told.keys()]).toEqual(record?.history.map(({ sequence }) => `newSearch#${sequence}`))
  for (const [id, { to }] of told) expect([id, to]).toEqual([id, record?.history[Number(id.split('#')[1]) - 1]?.to])
  // Every call was judged, and none of them twice.
  expect((evidence?.judge.calls ?? 0) + (evidence?.judge.earlier ?? 0)).toBe(7)
  expect(allEvidence).toContain(record?.evidence)
}

const whole = await playWith(() => undefined)
const operations = whole.driver.store.operations

describe(`the process that drives, and each of its ${operations} calls of the store`, () => {
  it('does its work when nothing goes wrong', () => {
    expectSound(whole)
    expect(whole.world.told).toHaveLength(whole.other.store.record?.sequence ?? 0)
    expect(operations).toBeGreaterThan(60)
  })

  // In parts, so that none of them takes long.
  it.each([1, 2, 3, 4])('ends in that moment: the other one goes on in the same phase (part %i of 4)', async (part) => {
    for (let at = part; at <= operations; at += 4) {
      const played = await playWith((driver) => {
        driver.store.lastOperation = at
        const { records } = driver.store
        const set = records.entries.set.bind(records.entries)
        records.entries.set = (key, entry) => {
          const { record, evidence } = driver.store
          set(key, entry)
          const next = driver.store.record
          // The write by which the other one takes over changes neither the run nor the evidence.
          if (record?.token === 1 && next?.token === 2) {
            expect(next.run).toEqual(record.run)
            expect(driver.store.evidence).toEqual(evidence)
          }
          return records.entries
        }
      })
      expectSound(played)
      const ids = played.world.told.map(({ id }) => id)
      expect(ids.length - new Set(ids).size).toBeLessThanOrEqual(1)
      played.driver.kill()
      await played.other.rollout.stop()
    }
  })

  it.each([
    ['is refused', false],
    ['is done, but its answer is lost', true],
  ])('fails in that moment: it %s', async (_, isDone) => {
    for (let at = 1; at <= operations; at++) {
      const played = await playWith((driver) => (driver.store.failing = { at, isDone }))
      expectSound(played)
      // Nobody died, so nothing was told twice.
      expect(played.world.told).toHaveLength(played.other.store.record?.sequence ?? 0)
      await played.driver.rollout.stop()
      await played.other.rollout.stop()
      expect(played.world.clock.pending).toBe(0)
    }
  })
})
