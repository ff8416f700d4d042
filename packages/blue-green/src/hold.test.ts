import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { FakeHealth } from './test-support/fake-health.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { plan, TestBot } from './test-support/test-bot.js'

/** Longer than `recoverMs`, which is 30 s unless told otherwise. */
const recoverMs = 30_000

describe('a deployment and the health of the bot', () => {
  it('holds at once when health is down, and says what is wrong', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_400)
    health.becomes('down', 'connection refused')
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 10, elapsedMs: 400 })
    expect(deployment.status.why).toBe('health is down (database down: connection refused)')
    await bot.clock.advance(50_000)
    expect(bot.percentages).toEqual([1, 10])
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'HOLD', elapsedMs: 400 })
  })

  it('goes on when health has been well for recoverMs, with the time of the step begun anew', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_900)
    health.becomes('down')
    await bot.clock.advance(5_000)
    health.becomes('up')
    await bot.clock.advance(recoverMs - 1)
    expect(deployment.status.phase).toBe('HOLD')
    await bot.clock.advance(1)
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 10, elapsedMs: 0 })
    await bot.clock.advance(999)
    expect(deployment.status.percentage).toBe(10)
    await bot.clock.advance(1)
    expect(deployment.status.percentage).toBe(50)
  })

  it.each([
    ['up', 'up', 'CANARY_TESTING'],
    ['up', 'degraded', 'HOLD'],
    ['up', 'down', 'HOLD'],
    ['up', 'unknown', 'HOLD'],
    ['degraded', 'degraded', 'CANARY_TESTING'],
    ['degraded', 'up', 'CANARY_TESTING'],
    ['degraded', 'down', 'HOLD'],
    ['down', 'down', 'HOLD'],
    ['down', 'degraded', 'CANARY_TESTING'],
    ['unknown', 'degraded', 'HOLD'],
    ['unknown', 'unknown', 'HOLD'],
    ['unknown', 'up', 'CANARY_TESTING'],
  ] as const)('that was %s when it began and is %s now: %s', async (atStart, now, phase) => {
    const health = new FakeHealth()
    health.becomes(atStart)
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, stepMs: 1_000_000 })
    health.becomes(now)
    await bot.clock.advance(recoverMs)
    expect(deployment.status.phase).toBe(phase)
  })

  it('does not advance on health that turned without a word', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    health.status = 'down'
    await bot.clock.advance(1_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 1 })
  })

  it('does not advance on evidence over health that turned without a word', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const byTime = { ...plan, percentages: [50, 100], advance: 'time', minEvents: 5 } as const
    const deployment = await bot.blueGreen.deploy('v2', byTime)
    await bot.clock.advance(1_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', awaitsEvidence: true })
    await bot.guildsOn('v2')
    health.status = 'down'
    await bot.clock.advance(30_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', awaitsEvidence: false, why: 'health is down' })
    expect(bot.percentages).toEqual([50])
  })

  it.each([undefined, 'healthy', 'UP', 'toString'])('takes a health that is %s for unknown', async (status) => {
    const health = new FakeHealth()
    health.status = status as never
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 0, why: 'health is unknown' })
    const next = new TestBot(bot.store)
    await next.blueGreen.start()
    expect(next.blueGreen.deployment?.id).toBe(deployment.id)
  })

  it('takes a health source that throws for unknown', async () => {
    const health = new FakeHealth()
    Object.defineProperty(health, 'status', {
      get: () => {
        throw new Error('broken')
      },
    })
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', why: 'health is unknown' })
  })

  it('asks a human once after maxHoldMs, and never goes on by itself while unwell', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    health.becomes('down')
    await bot.clock.advance(plan.maxHoldMs - 1)
    expect(bot.changes.filter(({ what }) => what === 'hold')).toEqual([])
    await bot.clock.advance(86_400_000)
    const calls = bot.changes.filter(({ what }) => what === 'hold')
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatchObject({ severity: 'CRITICAL', deploymentId: deployment.id })
    expect(calls[0]?.message).toMatch(/held at 1 % for 60000 ms and needs a human/)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 1 })
    health.becomes('up')
    await bot.clock.advance(recoverMs)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
  })

  it('asks a human also when flapping health keeps a step from getting on', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health, recoverMs: 5_000 })
    await bot.blueGreen.deploy('v2', { ...plan, stepMs: 10_000 })
    for (let i = 0; i < 10; i++) {
      health.becomes('down')
      await bot.clock.advance(1_000)
      health.becomes('up')
      await bot.clock.advance(8_000)
    }
    expect(bot.changes.filter(({ what }) => what === 'hold')).toHaveLength(1)
    expect(bot.percentages).toEqual([1])
  })

  it.each([419_999, 999_999])('does not count time in which the process stood still, %i ms into a step', async (ms) => {
    const clock = new SuspendableClock()
    const bot = new TestBot(new FaultyStore(), { clock })
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, stepMs: 1_000_000 })
    await clock.advance(ms)
    clock.suspend(3_600_000)
    await clock.advance(1)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 1 })
    expect(deployment.status.why).toBe('the process stood still for 3600000 ms')
    await clock.advance(recoverMs + 999_999)
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 1 })
    await clock.advance(1)
    expect(deployment.status.percentage).toBe(10)
  })

  it('changes its phase only so often while health flaps', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    await bot.blueGreen.deploy('v2', plan)
    for (let i = 0; i < 1_000; i++) {
      health.becomes(i % 2 === 0 ? 'down' : 'up')
      await bot.clock.advance(100)
    }
    expect(bot.phases).toEqual(['GREEN_STAGING', 'CANARY_TESTING', 'HOLD'])
    expect(bot.store.writes).toBe(5)
  })

  it.each(['lands late', 'is slow'] as const)('holds although its end is being written and %s', async (fault) => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    health.becomes('down')
    await bot.clock.advance(1)
    health.becomes('up')
    bot.store.faults.set(bot.store.writes + 1, fault)
    await bot.clock.advance(recoverMs)
    health.becomes('down')
    await bot.store.land()
    await bot.clock.advance(60_000)
    expect(deployment.status.phase).toBe('HOLD')
    expect(bot.phases).toEqual(['GREEN_STAGING', 'CANARY_TESTING', 'HOLD'])
    expect((await bot.store.record())?.state.deployment?.phase).toBe('HOLD')
  })

  it.each(['lands late', 'is slow'] as const)('holds although an advance is being written and %s', async (fault) => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    bot.store.faults.set(bot.store.writes + 1, fault)
    await bot.clock.advance(1_000)
    health.becomes('down')
    await bot.store.land()
    await bot.clock.advance(20_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 1 })
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'HOLD', percentage: 1 })
  })

  it('stops listening when it is stopped', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    await bot.blueGreen.start()
    await bot.blueGreen.start()
    expect(health.listeners).toBe(1)
    await bot.blueGreen.stop()
    await bot.blueGreen.stop()
    expect(health.listeners).toBe(0)
  })
})

describe('a store that is out of reach', () => {
  it('holds the share, and every guild stays with its version', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [10, 100] })
    const before = await bot.guildsOn('v2')
    bot.store.isDown = true
    await bot.clock.advance(3_600_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 10 })
    expect(await bot.guildsOn('v2')).toEqual(before)
    expect(bot.blueGreen.status.store).toBe('down')
    expect(bot.changes.filter(({ what }) => what === 'store')).toHaveLength(1)
    expect(bot.changes.filter(({ what }) => what === 'hold')).toHaveLength(1)
  })

  it('lets the deployment go on when it is back, with the time of the step begun anew', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    bot.store.isDown = true
    await bot.clock.advance(10_000)
    bot.store.isDown = false
    await bot.clock.advance(1_000 + recoverMs)
    expect(bot.changes.filter(({ what }) => what === 'store').map(({ to }) => to)).toEqual(['down', 'up'])
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 1 })
    await bot.clock.advance(4_000)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('does not keep a rollback from being in force; the record follows', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    bot.store.isDown = true
    const finished = deployment.rollback({ why: 'users complain' })
    expect(await bot.serves('a')).toBe('v1')
    await bot.clock.advance(3_600_000)
    expect(await bot.serves('a')).toBe('v1')
    expect(deployment.status.phase).toBe('ROLLING_BACK')
    bot.store.isDown = false
    await bot.clock.advance(1_000)
    expect((await finished).outcome).toBe('ROLLED_BACK')
    expect((await bot.store.record())?.state.rolledBack).toEqual(['v2'])
  })

  it('keeps a rollback that it never heard of in force over stop and start', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    bot.store.isDown = true
    const finished = deployment.rollback({ why: 'users complain' })
    await bot.clock.advance(10_000)
    await bot.blueGreen.stop()
    expect(await finished).toEqual({
      outcome: 'STOPPED',
      why: 'stop() was called before the store confirmed the rollback',
    })
    bot.store.isDown = false
    await bot.blueGreen.start()
    expect(await bot.serves('a')).toBe('v1')
    await bot.clock.advance(0)
    expect(bot.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1' })
  })

  it('keeps a hold that it never heard of in force over stop and start', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    bot.store.isDown = true
    deployment.hold({ why: 'it is Friday' })
    await bot.clock.advance(0)
    await bot.blueGreen.stop()
    bot.store.isDown = false
    await bot.blueGreen.start()
    await bot.clock.advance(5_000)
    expect(bot.blueGreen.deployment?.status).toMatchObject({ phase: 'HOLD', isHeldByHand: true, percentage: 1 })
    expect((await bot.store.record())?.state.deployment).toMatchObject({ heldByHand: 'it is Friday' })
  })

  it('does not take up a hold again that it had, and that a person has ended elsewhere', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    deployment.hold({ why: 'it is Friday' })
    await bot.clock.advance(0)
    await bot.blueGreen.stop()
    const other = new TestBot(new FaultyStore(bot.store.inner))
    await other.blueGreen.start()
    await other.blueGreen.deployment?.resume()
    await other.blueGreen.stop()
    await bot.blueGreen.start()
    expect(bot.blueGreen.deployment?.status).toMatchObject({ phase: 'CANARY_TESTING', isHeldByHand: false })
  })

  it('does not forget a rollback over the end of a hold that it did not confirm before', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    health.becomes('down')
    await bot.clock.advance(1)
    health.becomes('up')
    bot.store.faults.set(bot.store.writes + 1, 'hangs')
    await bot.clock.advance(recoverMs)
    const finished = deployment.rollback({ why: 'users complain' })
    bot.store.isDown = true
    await bot.clock.advance(10_000)
    await bot.blueGreen.stop()
    expect((await finished).why).toBe('stop() was called before the store confirmed the rollback')
  })

  it('fails start, which may be called again, while the initial version serves', async () => {
    const bot = new TestBot()
    bot.store.isDown = true
    const failure = { code: 'STORE_UNAVAILABLE', retryable: true, applied: 'no' }
    await expect(bot.blueGreen.start()).rejects.toMatchObject(failure)
    expect(await bot.serves('a')).toBe('v1')
    bot.store.isDown = false
    await bot.blueGreen.start()
    expect(bot.blueGreen.status.controller).toBe('DRIVING')
  })

  it('fails start after storeTimeoutMs when it does not answer at all', async () => {
    const bot = new TestBot()
    bot.store.isDead = true
    const starting = bot.blueGreen.start()
    starting.catch(() => undefined)
    await bot.clock.advance(5_000)
    await expect(starting).rejects.toThrow(/no answer within 5000 ms/)
  })

  it.each(['refused', 'written but refused', 'written but hangs', 'hangs', 'lands late'] as const)(
    'fails deploy when the write is %s, and takes the deployment back',
    async (fault) => {
      const bot = new TestBot()
      await bot.blueGreen.start()
      bot.store.faults.set(bot.store.writes + 1, fault)
      const deploying = bot.blueGreen.deploy('v2', plan)
      deploying.catch(() => undefined)
      await bot.clock.advance(5_000)
      await expect(deploying).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', applied: 'unknown' })
      await bot.store.land()
      await bot.clock.advance(1_000)
      expect((await bot.store.record())?.state.deployment).toBeNull()
      expect(bot.blueGreen.status).toMatchObject({ phase: 'IDLE', store: 'up' })
      expect(bot.timers).toBe(0)
      const again = await bot.blueGreen.deploy('v2', plan)
      await bot.clock.advance(4_000)
      expect((await again.finished).outcome).toBe('COMPLETE')
    },
  )
})

/** A fake clock whose process can stand still: time passes, timers are late. */
class SuspendableClock extends FakeClock {
  #suspendedMs = 0

  suspend(ms: number): void {
    this.#suspendedMs += ms
  }

  override now(): number {
    return super.now() + this.#suspendedMs
  }

  override monotonic(): number {
    return super.monotonic() + this.#suspendedMs
  }
}
