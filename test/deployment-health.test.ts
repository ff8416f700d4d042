import { BlueGreen, memoryState } from '@evenkeel/blue-green'
import { HealthMonitor } from '@evenkeel/health-monitor'
import { FakeClock } from '@evenkeel/testing'
import { expect, it, onTestFinished } from 'vitest'

// Packages meet by shape: here a deployment meets a real monitor, which takes some looks to notice.

/** A bot with a database, by which each of its calls succeeds or fails, whatever the version. */
async function botWithDatabase() {
  const clock = new FakeClock()
  let isUp = true
  const ask = async (): Promise<void> => {
    if (!isUp) throw new Error('connect ECONNREFUSED')
  }
  const health = new HealthMonitor({ checks: { database: { check: ask } }, loop: false, clock, random: () => 0.5 })
  const blueGreen = new BlueGreen({
    versions: { v1: (_guildId: string) => ask(), v2: (_guildId: string) => ask() },
    initial: 'v1',
    context: (guildId: string) => ({ eventId: null, guildId }),
    store: memoryState(),
    health,
    clock,
  })
  onTestFinished(async () => {
    await blueGreen.stop()
    await health.stop()
  })
  await health.start()
  await health.checkNow()
  await blueGreen.start()
  /** Each of a hundred guilds calls three times in ten seconds: it soon is one that fails, and sooner than health is down. */
  const live = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      for (let i = 0; i < 10; i++) {
        const guildId = `guild-${(second % 10) * 10 + i}`
        for (let call = 0; call < 3; call++) await blueGreen.handle(guildId).catch(() => undefined)
        await clock.advance(100)
      }
    }
  }
  const setDatabase = (up: boolean): void => void (isUp = up)
  return { clock, health, blueGreen, live, setDatabase }
}

it.each([10, 50, 100])(
  'a deployment at a share of %d outlives an outage of what both versions need',
  async (percentage) => {
    const { health, blueGreen, live, setDatabase } = await botWithDatabase()
    const percentages = percentage === 100 ? [100] : [percentage, 100]
    const deployment = await blueGreen.deploy('v2', { percentages, stepMs: 300_000, bakeMs: 300_000 })
    await live(60)
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage })
    setDatabase(false)
    await live(120)
    expect(health.status).toBe('down')
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage })
    expect(deployment.status.why).toContain(percentage === 100 ? 'guilds are failing on "v2"' : 'connect ECONNREFUSED')
    setDatabase(true)
    await live(120)
    expect(health.status).toBe('up')
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage })
    await live(900)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  },
)
