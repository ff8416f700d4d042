import { describe, expect, it } from 'vitest'
import { hour, World, type Process } from '../test-support/rollout-bot.js'
import { compareOldPath, ERROR_CHECK, LATENCY_CHECK } from './old-path.js'
import { addTimes } from './path-times.js'
import { noTraffic, type OldPath } from './traffic.js'

const minute = 60_000

function path(calls: number, failures: number, tookMs: readonly number[] = []): OldPath {
  return { calls, failures, times: addTimes({}, tookMs) }
}

/** So many calls, of which every so many-th is slow. */
function times(count: number, every: number, slowMs = 900): number[] {
  return Array.from({ length: count }, (_, i) => (i % every === 0 ? slowMs : 20 + (i % 10)))
}

describe('the old path after a rollback', () => {
  it.each([
    ['fails as before', path(2_000, 40), path(500, 12), true, /^as before: 12 of 500 calls failed, 40 of 2000 before$/],
    ['fails more than before', path(2_000, 40), path(500, 60), false, /^more than before: 60 of 500/],
    ['fails once more than once in a while', path(2_000, 0), path(500, 3), true, /^as before/],
    ['fails in each call', path(2_000, 40), path(10, 10), false, /^more than before/],
    ['was hardly called', path(2_000, 40), path(9, 1), true, /^not enough calls to tell: 1 of 9/],
    ['was hardly called before', path(5, 0), path(9_000, 4), true, /^not enough calls to tell/],
    ['was never called', path(0, 0), null, true, /^not enough calls to tell: 0 of 0 calls failed, 0 of 0 before$/],
  ])('%s', (_, before, after, isPassed, why) => {
    const [errors] = compareOldPath({ ...noTraffic, before, after })
    expect(errors).toMatchObject({ name: ERROR_CHECK, isPassed, why: expect.stringMatching(why) as string })
    expect(errors?.isUntold ?? false).toBe(errors?.why.startsWith('not enough') ?? false)
  })

  it.each([
    ['takes as long as before', times(1_000, 50), times(400, 40), true, /^as before: 10 of 400 calls took longer than/],
    ['takes longer than before', times(1_000, 50), times(400, 3), false, /^more than before: 134 of 400 calls took/],
    ['was hardly called', times(1_000, 50), times(10, 2), true, /^not enough calls to tell/],
    ['was never called before', [], times(400, 3), true, /^not enough calls to tell: 0 of 400 calls, 0 of 0 before$/],
  ])('%s', (_, before, after, isPassed, why) => {
    const seen = { before: path(0, 0, before), after: path(0, 0, after) }
    const [, latency] = compareOldPath({ ...noTraffic, ...seen })
    expect(latency).toMatchObject({ name: LATENCY_CHECK, isPassed, why: expect.stringMatching(why) as string })
  })

  it('is wrongly blamed by chance less than once in a thousand rollbacks', () => {
    let seed = 1
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    const draw = (calls: number, ratio: number): OldPath => {
      const failures = Array.from({ length: calls }, random).filter((chance) => chance < ratio).length
      return path(calls, failures)
    }
    let blamed = 0
    for (let i = 0; i < 1_000; i++) {
      const ratio = 0.001 + random() * 0.2
      const seen = { before: draw(300, ratio), after: draw(300, ratio) }
      if (!compareOldPath({ ...noTraffic, ...seen })[0]!.isPassed) blamed += 1
    }
    expect(blamed).toBe(0)
  })
})

describe('a rollback', () => {
  const settleMs = minute

  function serve({ flags }: Process, calls: number, failures: number): void {
    for (let i = 0; i < calls; i++) flags.ran('off', i < failures)
  }

  it('is validated when there is something to see, and told of the errors that have stayed', async () => {
    const world = new World()
    const process = world.process({ settleMs })
    await process.rollout.start()
    serve(process, 1_000, 10)
    await world.clock.advance(2 * minute)
    await process.rollout.rollback({ why: 'harm' })
    await world.clock.advance(20_000)
    expect(process.rollout.status).toMatchObject({ state: 'VALIDATING', checks: undefined })
    serve(process, 200, 80)
    await world.clock.advance(minute)
    expect(process.rollout.status.state).toBe('ROLLED_BACK')
    expect(world.told.at(-1)).toMatchObject({ to: 'ROLLED_BACK', severity: 'CRITICAL' })
    expect((await process.rollout.finished).why).toMatch(
      /^harm; afterwards this was not well: errors of the old path \(more than before: 80 of 200 calls failed, 10 of 1000 before\)$/,
    )
    await process.rollout.stop()
  })

  it('says so when there were not enough calls to tell', async () => {
    const world = new World()
    const { rollout } = world.process({ settleMs })
    await rollout.start()
    await rollout.rollback({ why: 'harm' })
    await world.clock.advance(2 * minute)
    expect((await rollout.finished).why).toBe(
      'harm; nothing is wrong now, with not enough calls to tell of errors of the old path and latency of the old path',
    )
    expect(rollout.status.checks).toMatchObject([
      { name: 'flag is off', isPassed: true },
      { name: ERROR_CHECK, isPassed: true, isUntold: true },
      { name: LATENCY_CHECK, isPassed: true, isUntold: true },
    ])
    await rollout.stop()
  })

  it('finds the old path well by what all processes have counted, also when the driver dies meanwhile', async () => {
    const world = new World()
    const [first, second] = [world.process({ settleMs: 5 * minute }), world.process({ settleMs: 5 * minute })]
    await first.rollout.start()
    await second.rollout.start()
    serve(second, 1_000, 10)
    await world.clock.advance(2 * minute)
    await first.rollout.rollback({ why: 'harm' })
    await world.clock.advance(2 * minute)
    serve(second, 100, 1)
    await world.clock.advance(minute)
    const before = first.store.record?.run.rollback?.settledMs ?? 0
    expect(before).toBeGreaterThan(2.5 * minute)
    first.kill()
    await world.clock.advance(80_000)
    serve(second, 100, 1)
    await world.clock.advance(minute)
    expect(second.rollout.status).toMatchObject({ state: 'VALIDATING', controller: 'DRIVING' })
    expect(second.store.record?.run.rollback?.settledMs).toBeGreaterThan(before)
    await world.clock.advance(2 * minute)
    expect((await second.rollout.finished).why).toBe('harm; all is well now')
    const why = 'as before: 2 of 200 calls failed, 10 of 1000 before'
    expect(second.rollout.status.checks?.[1]).toEqual({ name: ERROR_CHECK, isPassed: true, why })
    await second.rollout.stop()
  })

  it('of what was complete is compared with what the old path did before that', async () => {
    const world = new World()
    const process = world.process({ settleMs })
    await process.rollout.start()
    serve(process, 1_000, 10)
    await world.clock.advance(4 * hour)
    expect(process.rollout.status.state).toBe('COMPLETE')
    await process.rollout.rollback({ why: 'harm' })
    await world.clock.advance(10_000)
    serve(process, 200, 1)
    await world.clock.advance(2 * minute)
    const why = 'as before: 1 of 200 calls failed, 10 of 1000 before'
    expect(process.rollout.status.checks?.[1]).toEqual({ name: ERROR_CHECK, isPassed: true, why })
    await process.rollout.stop()
  })
})
