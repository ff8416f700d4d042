import { describe, expect, it, vi } from 'vitest'
import { FakeHealth } from './test-support/fake-health.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { answer, plan, TestBot } from './test-support/test-bot.js'

describe('a deployment', () => {
  it('goes through its steps by time, and makes green the active version', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 1, step: 0, elapsedMs: 0 })
    await bot.clock.advance(999)
    expect(deployment.status).toMatchObject({ percentage: 1, elapsedMs: 999 })
    await bot.clock.advance(1)
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 10, step: 1, elapsedMs: 0 })
    await bot.clock.advance(2_999)
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 100, step: 3 })
    await bot.clock.advance(1)
    expect(await deployment.finished).toEqual({ outcome: 'COMPLETE', why: 'every step was passed' })
    expect(bot.percentages).toEqual([1, 10, 50, 100])
    expect(bot.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2', deployment: undefined })
    expect(bot.blueGreen.deployment).toBeUndefined()
    expect(await bot.serves('a')).toBe('v2')
    expect(bot.timers).toBe(0)
  })

  it('only ever adds guilds, and keeps each where it is within a step', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', { ...plan, percentages: [0, 1, 10, 50, 100] })
    let before = await bot.guildsOn('v2')
    expect(before.size).toBe(0)
    for (const percentage of [1, 10, 50, 100]) {
      await bot.clock.advance(1_000)
      const now = await bot.guildsOn('v2')
      expect([...before].filter((guild) => !now.has(guild))).toEqual([])
      expect(await bot.guildsOn('v2')).toEqual(now)
      expect(Math.abs(now.size - percentage * 10)).toBeLessThan(70)
      before = now
    }
    expect(before.size).toBe(1_000)
  })

  it('begins with other guilds each time', async () => {
    const first = new TestBot()
    await first.blueGreen.deploy('v2', plan)
    await first.clock.advance(1_000)
    const second = new TestBot()
    await second.blueGreen.deploy('v2', plan)
    await second.clock.advance(1_000)
    expect(await first.guildsOn('v2')).not.toEqual(await second.guildsOn('v2'))
  })

  it('moves the user where there is no guild, and what has neither only at 100 %', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', { ...plan, percentages: [99, 100] })
    const guilds = [...(await bot.guildsOn('v2'))]
    expect(await Promise.all(guilds.map((id) => bot.serves(null, id)))).toEqual(guilds.map(() => 'v2'))
    expect(await bot.serves(null)).toBe('v1')
    await bot.clock.advance(1_000)
    expect(await bot.serves(null)).toBe('v2')
  })

  it('lets a call end where it began, and waits for it before it is complete', async () => {
    const bot = new TestBot()
    await bot.blueGreen.start()
    let finish!: (value: string) => void
    const call = bot.blueGreen.handle({
      run: (version) => new Promise<string>((resolve) => (finish = resolve)).then((end) => `${version} ${end}`),
    })
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    await bot.clock.advance(1_000)
    expect(deployment.status.phase).toBe('DRAINING_BLUE')
    finish('to the end')
    expect(await call).toBe('v1 to the end')
    await bot.clock.advance(0)
    expect(deployment.status.phase).toBe('COMPLETE')
  })

  it('is complete after drainMs even if a call on blue never ends, and says so', async () => {
    const bot = new TestBot(new FaultyStore(), { drainMs: 5_000 })
    void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    await bot.clock.advance(5_999)
    expect(deployment.status.phase).toBe('DRAINING_BLUE')
    await bot.clock.advance(1)
    expect((await deployment.finished).why).toBe('every step was passed, while 1 calls still run on "v1"')
  })

  it('does not mind a wall clock that jumps', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    bot.clock.jump(86_400_000)
    await bot.clock.advance(999)
    bot.clock.jump(-172_800_000)
    expect(deployment.status).toMatchObject({ percentage: 1, elapsedMs: 999 })
    await bot.clock.advance(1)
    expect(deployment.status.percentage).toBe(10)
  })

  it('writes down every transition with its number, cause and share', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_000)
    expect(await bot.store.record()).toMatchObject({
      format: 2,
      epoch: 1,
      sequence: 6,
      cause: '1000 ms have passed',
      state: { active: 'v1', deployment: { id: deployment.id, phase: 'SHIFTING_TRAFFIC', percentage: 10, step: 1 } },
    })
  })
})

describe('staging', () => {
  it('writes the deployment down before green gets its first share', async () => {
    const bot = new TestBot()
    await bot.blueGreen.start()
    bot.store.faults.set(bot.store.writes + 1, 'is slow')
    const deploying = bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    await bot.clock.advance(1_000)
    expect((await bot.guildsOn('v2')).size).toBe(0)
    await bot.store.land()
    const deployment = await deploying
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 100, step: 0 })
    expect(bot.phases).toEqual(['GREEN_STAGING', 'CANARY_TESTING'])
  })

  it.each(['down', 'unknown'] as const)(
    'gives green nothing while health is %s, and its share later',
    async (status) => {
      const health = new FakeHealth()
      health.becomes(status)
      const bot = new TestBot(new FaultyStore(), { health })
      const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
      expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 0, step: -1 })
      expect((await bot.guildsOn('v2')).size).toBe(0)
      health.becomes('up')
      await bot.clock.advance(30_000)
      expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 100 })
      await bot.clock.advance(1_000)
      expect((await deployment.finished).outcome).toBe('COMPLETE')
    },
  )
})

describe('deploy', () => {
  it('returns the running deployment when asked for the same version again', async () => {
    const bot = new TestBot()
    const [first, second] = await Promise.all([bot.blueGreen.deploy('v2', plan), bot.blueGreen.deploy('v2')])
    expect(second).toBe(first)
    expect(await bot.blueGreen.deploy('v2', { percentages: [100] })).toBe(first)
    expect(bot.blueGreen.deployment).toBe(first)
  })

  it('refuses another version while one is running, and names that', async () => {
    const bot = new TestBot()
    const first = bot.blueGreen.deploy('v2', plan)
    const refusal = { code: 'DEPLOYMENT_RUNNING', applied: 'no', version: 'v3', name: 'DeploymentRunningError' }
    await expect(bot.blueGreen.deploy('v3', plan)).rejects.toMatchObject(refusal)
    const { id } = await first
    await expect(bot.blueGreen.deploy('v3', plan)).rejects.toMatchObject({ ...refusal, deploymentId: id })
    await expect(bot.blueGreen.deploy('v1', plan)).rejects.toMatchObject({ version: 'v1', deploymentId: id })
  })

  it('does nothing when the version is active already, and says so', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v1', plan)
    expect(await deployment.finished).toEqual({
      outcome: 'ALREADY_ACTIVE',
      why: 'version "v1" is the active one already',
    })
    expect(await deployment.rollback({ why: 'test' })).toMatchObject({ outcome: 'ALREADY_ACTIVE' })
    expect(bot.blueGreen.status.phase).toBe('IDLE')
  })

  it('refuses a version that was rolled back, also after a restart, until told to retry', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    await bot.blueGreen.rollback({ why: 'it is ugly' })
    const refusal = { code: 'VERSION_ROLLED_BACK', version: 'v2', retryable: false }
    await expect(bot.blueGreen.deploy('v2', plan)).rejects.toMatchObject(refusal)
    await bot.blueGreen.stop()
    const next = new TestBot(bot.store)
    await expect(next.blueGreen.deploy('v2', plan)).rejects.toMatchObject(refusal)
    expect(next.blueGreen.status.rolledBack).toEqual(['v2'])
    const retried = await next.blueGreen.deploy('v2', { ...plan, retry: true })
    await next.clock.advance(4_000)
    expect((await retried.finished).outcome).toBe('COMPLETE')
    expect(next.blueGreen.status.rolledBack).toEqual([])
  })

  it('refuses the version that is just being rolled back, also when told to retry', async () => {
    const bot = new TestBot()
    const { id } = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
    void bot.blueGreen.rollback()
    await expect(bot.blueGreen.deploy('v2')).rejects.toMatchObject({ code: 'VERSION_ROLLED_BACK' })
    const refusal = { code: 'DEPLOYMENT_RUNNING', deploymentId: id }
    await expect(bot.blueGreen.deploy('v2', { retry: true })).rejects.toMatchObject(refusal)
  })

  it('goes back to an earlier version as to any other', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    const back = await bot.blueGreen.deploy('v1', plan)
    await bot.clock.advance(4_000)
    expect((await back.finished).outcome).toBe('COMPLETE')
    expect(await bot.serves('a')).toBe('v1')
  })

  it.each([
    [{ percentages: [] }],
    [{ percentages: [NaN, 100] }],
    [{ percentages: [-1, 100] }],
    [{ percentages: [100.0001] }],
    [{ percentages: [1e308] }],
    [{ percentages: ['50', 100] as unknown as number[] }],
    [{ percentages: 100 as unknown as number[] }],
    [{ percentages: [10, 10, 100] }],
    [{ percentages: [50, 10, 100] }],
    [{ percentages: [1, 50] }],
    [{ stepMs: 0 }],
    [{ stepMs: NaN }],
    [{ stepMs: 2 ** 31 }],
    [{ maxHoldMs: -1 }],
  ])('refuses the plan %j', async (wrong) => {
    const bot = new TestBot()
    await expect(bot.blueGreen.deploy('v2', wrong)).rejects.toThrow(RangeError)
    expect(bot.blueGreen.status.controller).toBe('STOPPED')
  })

  it('refuses a retry that is neither true nor false', async () => {
    const retry = 'yes' as unknown as boolean
    await expect(new TestBot().blueGreen.deploy('v2', { retry })).rejects.toThrow(
      'retry must be true or false, not yes',
    )
  })

  it('refuses an option that it does not know', async () => {
    const misspelt = { stepMS: 1 } as object
    await expect(new TestBot().blueGreen.deploy('v2', misspelt)).rejects.toThrow(/deploy has no option "stepMS"/)
  })

  it('refuses a version that it does not know', async () => {
    const bot = new TestBot()
    await expect(bot.blueGreen.deploy('v4')).rejects.toThrow(/"v4": it is none of v1, v2, v3/)
    await expect(bot.blueGreen.deploy('toString')).rejects.toThrow(RangeError)
  })
})

it('fails with STOPPED when stop() comes before the store has confirmed it', async () => {
  const bot = new TestBot()
  await bot.blueGreen.start()
  const deploying = bot.blueGreen.deploy('v2', plan)
  const stopped = bot.blueGreen.stop()
  await expect(deploying).rejects.toMatchObject({ code: 'STOPPED', retryable: true, applied: 'unknown' })
  await stopped
  expect(bot.blueGreen.status.controller).toBe('STOPPED')
})

describe('a rollback by hand', () => {
  it('is in force in the same tick, and for good', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    const began: string[] = []
    const run = (version: string): number => began.push(version)
    void bot.blueGreen.handle({ guildId: 'a', run })
    const finished = deployment.rollback({ why: 'users complain' })
    void bot.blueGreen.handle({ guildId: 'a', run })
    expect(began).toEqual(['v2', 'v1'])
    expect(await finished).toEqual({ outcome: 'ROLLED_BACK', why: 'users complain' })
    expect((await bot.guildsOn('v1')).size).toBe(1_000)
    await bot.clock.advance(60_000)
    expect(bot.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1' })
    expect(bot.timers).toBe(0)
  })

  it('asks for no reason in an emergency', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(await deployment.rollback()).toEqual({ outcome: 'ROLLED_BACK', why: 'rollback() was called' })
    expect(await bot.blueGreen.rollback()).toBeUndefined()
  })

  it.each([
    [null, 'rollback() was called'],
    ['users complain', 'users complain'],
    [{ why: new Error('users complain') }, 'users complain'],
    [{ why: { toString: null } }, 'rollback() was called'],
  ])('is in force whatever it is given for a reason: %j', async (reason, why) => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    expect(await bot.blueGreen.rollback(reason as never)).toEqual({ outcome: 'ROLLED_BACK', why })
    expect(await deployment.rollback(reason as never)).toEqual({ outcome: 'ROLLED_BACK', why })
    const next = new TestBot(bot.store)
    await next.blueGreen.start()
    expect(next.blueGreen.status.phase).toBe('ROLLED_BACK')
  })

  it.each([1, 2])('wins over an advance when its write number %d is slow', async (write) => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(0)
    bot.store.faults.set(bot.store.writes + write, 'is slow')
    await bot.clock.advance(1_000)
    const finished = deployment.rollback()
    expect((await bot.guildsOn('v2')).size).toBe(0)
    await bot.store.land()
    expect((await finished).outcome).toBe('ROLLED_BACK')
    expect(bot.percentages).toEqual(write === 1 ? [1, 0] : [1, 10, 0])
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'ROLLED_BACK', percentage: 0 })
  })

  it('lets a call on green end where it began, and waits for it', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    let finish!: () => void
    const call = bot.blueGreen.handle({
      run: (version) => new Promise<string>((resolve) => (finish = () => resolve(version))),
    })
    const finished = deployment.rollback({ why: 'users complain' })
    await bot.clock.advance(100)
    expect(deployment.status).toMatchObject({ phase: 'ROLLING_BACK', percentage: 0 })
    finish()
    expect(await call).toBe('v2')
    expect(await finished).toMatchObject({ outcome: 'ROLLED_BACK' })
  })

  it('is a no-op of the bot when nothing is deployed, before start, and after the end', async () => {
    const bot = new TestBot()
    expect(await bot.blueGreen.rollback({ why: 'test' })).toBeUndefined()
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    expect(await bot.blueGreen.rollback({ why: 'too late' })).toBeUndefined()
    expect(await bot.serves('a')).toBe('v2')
  })

  it('reaches a deployment that is just being written down', async () => {
    const bot = new TestBot()
    const deploying = bot.blueGreen.deploy('v2', plan)
    const rolledBack = bot.blueGreen.rollback({ why: 'on second thought' })
    expect(await rolledBack).toMatchObject({ outcome: 'ROLLED_BACK' })
    expect((await deploying).status.phase).toBe('ROLLED_BACK')
  })

  it.each(['lands late', 'is slow'] as const)('wins over an advance that is being written and %s', async (fault) => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    bot.store.faults.set(bot.store.writes + 1, fault)
    await bot.clock.advance(1_000)
    const finished = deployment.rollback({ why: 'users complain' })
    expect((await bot.guildsOn('v2')).size).toBe(0)
    await bot.store.land()
    await bot.clock.advance(10_000)
    expect(await finished).toMatchObject({ outcome: 'ROLLED_BACK' })
    expect(bot.percentages).toEqual([1, 0])
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'ROLLED_BACK', percentage: 0 })
  })

  it('is not over because the calls on blue have ended, for which the deployment waited before', async () => {
    const bot = new TestBot()
    await bot.blueGreen.start()
    const finish: Record<string, () => void> = {}
    const run = (version: string): Promise<void> => new Promise((resolve) => (finish[version] = resolve))
    void bot.blueGreen.handle({ run })
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    void bot.blueGreen.handle({ run })
    await bot.clock.advance(1_000)
    expect(deployment.status.phase).toBe('DRAINING_BLUE')
    void deployment.rollback({ why: 'users complain' })
    finish['v1']?.()
    await bot.clock.advance(1_000)
    expect(deployment.status.phase).toBe('ROLLING_BACK')
    finish['v2']?.()
    expect((await deployment.finished).outcome).toBe('ROLLED_BACK')
  })

  it('wins from every phase of a running deployment', async () => {
    const health = new FakeHealth()
    for (const reach of ['CANARY_TESTING', 'SHIFTING_TRAFFIC', 'HOLD', 'DRAINING_BLUE']) {
      health.becomes('up')
      const bot = new TestBot(new FaultyStore(), { health })
      if (reach === 'DRAINING_BLUE') void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
      const deployment = await bot.blueGreen.deploy('v2', plan)
      if (reach === 'HOLD') health.becomes('down')
      for (let i = 0; i < 4 && deployment.status.phase !== reach; i++) await bot.clock.advance(1_000)
      expect(deployment.status.phase).toBe(reach)
      const finished = deployment.rollback({ why: 'test' })
      expect((await bot.guildsOn('v1')).size).toBe(1_000)
      expect(await finished).toMatchObject({ outcome: 'ROLLED_BACK' })
      await bot.blueGreen.stop()
    }
  })
})

describe('the catastrophe stop', () => {
  async function deployedBot(percentages: number[]): Promise<{ bot: TestBot; green: string[]; blue: string[] }> {
    const bot = new TestBot(new FaultyStore(), {
      versions: { v1: answer('v1'), v2: answer('v2') },
      isUserError: (error) => (error as Error).message === 'no such command',
    })
    await bot.blueGreen.deploy('v2', { percentages, stepMs: 1_000_000 })
    return { bot, green: [...(await bot.guildsOn('v2'))], blue: [...(await bot.guildsOn('v1'))] }
  }

  it('rolls back when the third guild fails on green, before the failure is passed on', async () => {
    const { bot, green } = await deployedBot([10, 100])
    await bot.fails(green[0] ?? '')
    await bot.fails(green[1] ?? '')
    await bot.fails(green[2] ?? '', 2)
    expect(bot.blueGreen.status.phase).toBe('CANARY_TESTING')
    const began: unknown[] = []
    const run = (version: string): never => {
      began.push(version)
      throw new Error('broken')
    }
    await bot.blueGreen.handle({ guildId: green[2] ?? '', run }).catch(() => bot.blueGreen.handle({ guildId: green[2] ?? '', run }).catch(() => undefined)) // prettier-ignore
    expect(began).toEqual(['v2', 'v1'])
    await bot.clock.advance(0)
    expect(bot.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1', rolledBack: ['v2'] })
    const news = bot.changes.find(({ to }) => to === 'ROLLING_BACK')
    expect(news?.severity).toBe('CRITICAL')
    expect(news?.why).toMatch(/^3 of \d+ guilds are failing on "v2", against 0 of \d+ guilds on "v1"$/)
  })

  it('does not count failures with a success in between', async () => {
    const { bot, green } = await deployedBot([10, 100])
    for (const guild of green.slice(0, 10)) {
      await bot.fails(guild, 2)
      await bot.serves(guild)
      await bot.fails(guild, 2)
    }
    expect(bot.blueGreen.status.phase).toBe('CANARY_TESTING')
  })

  it('does not count what is the fault of the user', async () => {
    const { bot, green } = await deployedBot([10, 100])
    const run = (): Promise<never> => Promise.reject(new Error('no such command'))
    for (const guildId of green) for (let i = 0; i < 5; i++) await bot.blueGreen.handle({ guildId, run }).catch(() => undefined) // prettier-ignore
    expect(bot.blueGreen.status.phase).toBe('CANARY_TESTING')
  })

  it('takes an isUserError that throws for a no, and warns once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const bot = new TestBot(new FaultyStore(), {
      isUserError: () => {
        throw new Error('predicate broke')
      },
    })
    await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000_000 })
    for (const guild of ['a', 'b', 'c']) await bot.fails(guild)
    await bot.clock.advance(0)
    expect(bot.blueGreen.status.phase).toBe('ROLLED_BACK')
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]?.[1]).toMatchObject({ code: 'EVENKEEL_PREDICATE' })
    warn.mockRestore()
  })

  it('lets an incident pass that hits blue alike', async () => {
    const { bot, green, blue } = await deployedBot([10, 100])
    for (const guild of blue.slice(0, blue.length / 2)) await bot.fails(guild)
    for (const guild of green) await bot.fails(guild)
    expect(bot.blueGreen.status.phase).toBe('CANARY_TESTING')
  })

  it('does not blame green for guilds that failed on blue before they moved', async () => {
    const bot = new TestBot()
    await bot.blueGreen.start()
    const broken = ['x', 'y', 'z', 'w']
    for (const guild of broken) await bot.fails(guild)
    await bot.guildsOn('v1')
    await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000_000 })
    for (const guild of broken) await bot.fails(guild)
    expect(bot.blueGreen.status.phase).toBe('CANARY_TESTING')
  })

  it('forgets what an earlier attempt of the version did', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000 })
    for (const guild of ['a', 'b', 'c']) await bot.fails(guild)
    await bot.clock.advance(0)
    await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000, retry: true })
    await bot.fails('d')
    expect(bot.blueGreen.status.phase).toBe('CANARY_TESTING')
  })
})
