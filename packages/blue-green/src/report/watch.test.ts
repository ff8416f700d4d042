import { describe, expect, it } from 'vitest'
import type { DeploymentStatus } from '../deployment.js'
import { FakeHealth } from '../test-support/fake-health.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { SlotOnStrings } from '../test-support/slot-on-strings.js'
import { plan, TestBot, type Ping } from '../test-support/test-bot.js'
import type { Slot } from '../slots/slot.js'

type TestOptions = NonNullable<ConstructorParameters<typeof TestBot>[1]>

const day = 86_400_000

async function watched(options: TestOptions = {}, deployed: Parameters<TestBot['blueGreen']['deploy']>[1] = plan) {
  const bot = new TestBot(new FaultyStore(), options)
  const deployment = await bot.blueGreen.deploy('v2', deployed)
  const seen: DeploymentStatus[] = []
  const watching = (async () => {
    for await (const status of deployment.watch()) seen.push(status)
  })()
  await bot.clock.advance(0)
  return { bot, deployment, seen, watching }
}

describe('a watch over the health of a deployment', () => {
  it('reads degraded, then up, what is unwell and why, and ends with the deployment', async () => {
    const health = new FakeHealth()
    const { bot, seen, watching } = await watched({ health }, { percentages: [100], stepMs: 100_000 })
    health.becomes('degraded', 'the disk is slow')
    await bot.clock.advance(1_000)
    health.becomes('up')
    await bot.clock.advance(200_000)
    await watching
    expect(seen.map(({ phase, health: now }) => [phase, now?.status])).toEqual([
      ['CANARY_TESTING', 'up'],
      ['CANARY_TESTING', 'degraded'],
      ['HOLD', 'degraded'],
      ['HOLD', 'up'],
      ['CANARY_TESTING', 'up'],
      ['DRAINING_BLUE', 'up'],
      ['COMPLETE', 'up'],
    ])
    expect(seen[2]?.health?.unwell).toEqual([{ name: 'database', status: 'degraded', reason: 'the disk is slow' }])
    expect(seen[3]?.health?.unwell).toEqual([])
  })

  it('hears of a part that gets worse while the whole is as before, and of nothing that is the same', async () => {
    const health = new FakeHealth()
    const { bot, seen } = await watched({ health })
    health.becomes('degraded', 'the disk is slow')
    await bot.clock.advance(0)
    const before = seen.length
    health.becomes('degraded', 'the disk is slow')
    await bot.clock.advance(0)
    expect(seen).toHaveLength(before)
    health.becomes('degraded', 'the disk is full')
    await bot.clock.advance(0)
    expect(seen.at(-1)?.health?.unwell).toEqual([{ name: 'database', status: 'degraded', reason: 'the disk is full' }])
  })

  it('says of a source that is broken that nothing is known, and nothing of one that is not there', async () => {
    const broken = new FakeHealth()
    Object.defineProperty(broken, 'components', {
      get: () => {
        throw new Error('broken')
      },
    })
    broken.status = 'fine' as never
    const { deployment } = await watched({ health: broken })
    expect(deployment.status.health).toEqual({ status: 'unknown', unwell: [] })
    expect((await watched()).deployment.status.health).toBeUndefined()
  })

  it('hears of a death and of the life after it, and sees it before what follows from it', async () => {
    const [v1, v2] = [new SlotOnStrings('v1'), new SlotOnStrings('v2')]
    const versions = { v1, v2 } as unknown as Record<string, Slot<Ping>>
    const { bot, seen, watching } = await watched({ versions, maxWaitMs: 200 }, { percentages: [50, 100], stepMs: day })
    v1.dies('fails')
    await bot.clock.advance(0)
    v1.starting = 'starts'
    await bot.clock.advance(1_000)
    const lives = (): unknown[] => seen.map(({ phase, blue, green }) => [phase, blue.death, green.death])
    expect(lives()).toEqual([
      ['CANARY_TESTING', null, null],
      ['CANARY_TESTING', 'it was pulled', null],
      ['HOLD', 'it was pulled', null],
      ['HOLD', null, null],
    ])
    v2.dies('fails')
    await bot.clock.advance(1_000)
    await watching
    expect(lives().slice(-3)).toEqual([
      ['HOLD', null, 'it was pulled'],
      ['ROLLING_BACK', null, 'it was pulled'],
      ['ROLLED_BACK', null, 'it was pulled'],
    ])
  })

  it('counts for both versions what they had, and the guilds that fail there', async () => {
    const { bot, deployment } = await watched({}, { percentages: [50, 100], stepMs: day })
    const [one = '', two = ''] = await bot.guildsOn('v2')
    await bot.fails(one)
    await bot.fails(two)
    void bot.blueGreen.handle({ guildId: one, run: () => new Promise(() => undefined) })
    const { blue, green } = deployment.status
    expect(green).toMatchObject({ version: 'v2', failed: 6, running: 1, failingGuilds: 2, death: null })
    expect(blue).toMatchObject({ version: 'v1', failed: 0, running: 0, failingGuilds: 0, death: null })
    expect([blue.guilds + green.guilds, blue.started + green.started]).toEqual([1_000, 1_007])
    expect(JSON.parse(JSON.stringify(deployment.status))).toEqual({ ...deployment.status })
  })

  it('hears what is judged, after each window', async () => {
    const { bot, seen } = await watched({ judge: { windowMs: 60_000 } }, { percentages: [50, 100], stepMs: day })
    for (let window = 0; window < 3; window++) {
      await bot.guildsOn('v2')
      await bot.clock.advance(60_000)
    }
    expect(seen.map(({ green }) => green.started > 0)).toEqual([false, true, true, true])
    for (const { evidence } of seen) expect(evidence).toContain('a harm of three times is')
    expect(seen.at(-1)?.evidence).not.toBe(seen[0]?.evidence)
    expect((await watched()).deployment.status.evidence).toBeNull()
  })

  it('keeps no backlog of what a slow reader has missed between two transitions, and every transition', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const watch = deployment.watch()
    for (let i = 1; i <= 500; i++) health.becomes('degraded', `reason ${i}`)
    expect((await watch.next()).value).toMatchObject({ phase: 'CANARY_TESTING', health: { status: 'degraded' } })
    expect((await watch.next()).value).toMatchObject({ phase: 'HOLD', health: { unwell: [{ reason: 'reason 500' }] } })
    const next = watch.next()
    void deployment.rollback()
    expect((await next).value).toMatchObject({ phase: 'ROLLING_BACK' })
  })

  it('ends where it waits, by return() and by its signal, and then costs nothing', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const watch = deployment.watch()
    await watch.next()
    const [waiting, other] = [watch.next(), watch.next()]
    expect(await watch.return?.()).toEqual({ done: true, value: undefined })
    expect(await Promise.all([waiting, other])).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ])
    const stop = new AbortController()
    const byHand = deployment.watch({ signal: stop.signal })
    await byHand.next()
    const refused = byHand.next().catch((error: unknown) => error)
    stop.abort(new Error('enough'))
    expect(await refused).toEqual(new Error('enough'))
    expect(await byHand.next()).toEqual({ done: true, value: undefined })
    const late = deployment.watch({ signal: stop.signal })
    await expect(late.next()).rejects.toThrow('enough')
    expect(await late.next()).toEqual({ done: true, value: undefined })
    let looks = 0
    Object.defineProperty(health, 'components', { get: () => ((looks += 1), new Map()) })
    bot.blueGreen.deployment?.hold()
    expect(looks).toBe(0)
  })

  it('that was given up before it was begun gets nothing', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const watch = deployment.watch()
    await watch.return?.()
    await deployment.rollback()
    expect(await watch.next()).toEqual({ done: true, value: undefined })
  })

  it('of many readers gives each its own', async () => {
    const { bot, deployment, seen, watching } = await watched()
    const other: unknown[] = []
    const late = (async () => {
      for await (const { percentage } of deployment.watch()) {
        other.push(percentage)
        if (percentage === 10) break
      }
    })()
    await bot.clock.advance(4_000)
    await Promise.all([watching, late])
    expect(other).toEqual([1, 10])
    expect(seen.map(({ phase }) => phase).at(-1)).toBe('COMPLETE')
  })
})
