import { describe, expect, it } from 'vitest'
import { FakeHealth } from './test-support/fake-health.js'
import type { HealthStatus, PartHealth } from './ports.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { TestBot } from './test-support/test-bot.js'

const slow = { percentages: [50, 100], stepMs: 60_000 }

const components = new Map<string, PartHealth>()

describe('a source of health', () => {
  it('that speaks as soon as it is listened to writes no hold over a rollback that start() has just written', async () => {
    class Telling extends FakeHealth {
      override on(event: 'change', listener: () => void): void {
        super.on(event, listener)
        listener()
      }
    }
    const health = new Telling()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', slow)
    let finish!: () => void
    for (let i = 0; i < 20; i++)
      void bot.blueGreen.handle({ guildId: `g${i}`, run: () => new Promise<void>((resolve) => (finish = resolve)) })
    await bot.clock.advance(0)
    await bot.blueGreen.stop()
    void deployment.rollback({ why: 'users complain' })
    health.status = 'down'
    await bot.blueGreen.start()
    await bot.clock.advance(0)
    expect(bot.blueGreen.status.phase).toBe('ROLLING_BACK')
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 0 })
    // The process dies while green is drained.
    bot.crash()
    const next = new TestBot(new FaultyStore(bot.store.inner))
    await next.blueGreen.start()
    expect((await next.guildsOn('v2')).size).toBe(0)
    finish()
  })

  it('that cannot be listened to keeps nobody from starting, and is asked at each step', async () => {
    const on = (): never => {
      throw new Error('disposed')
    }
    const health = { status: 'up' as HealthStatus, components, on, off: () => undefined }
    const bot = new TestBot(new FaultyStore(), { health })
    await bot.blueGreen.start()
    expect(bot.blueGreen.status.controller).toBe('DRIVING')
    await bot.blueGreen.deploy('v2', slow)
    health.status = 'down'
    await bot.clock.advance(60_000)
    expect(bot.blueGreen.status.deployment).toMatchObject({ phase: 'HOLD', percentage: 50 })
  })

  it('that cannot be left lets nobody wait for ever', async () => {
    const off = (): never => {
      throw new Error('disposed')
    }
    const health = { status: 'up' as const, components, on: () => undefined, off }
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', slow)
    await bot.clock.advance(0)
    bot.store.faults.set(bot.store.writes + 1, 'is slow')
    let ended = 'hangs'
    deployment.promote().then(
      () => (ended = 'resolved'),
      () => (ended = 'rejected'),
    )
    const stopping = bot.blueGreen.stop().catch(() => undefined)
    await bot.clock.advance(1_000)
    await bot.store.land()
    await stopping
    await bot.clock.advance(100_000)
    expect(ended).toBe('rejected')
  })
})
