import { describe, expect, it } from 'vitest'
import { readDeployOptions } from './deploy-options.js'
import { StoreUnavailableError } from './errors.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { plan } from './test-support/test-bot.js'
import { TestDriver } from './test-support/test-driver.js'

const hangs = (): Promise<void> => new Promise(() => undefined)

describe('a version that has to get ready', () => {
  it('has nobody before it is', async () => {
    let ready!: () => void
    const test = new TestDriver(undefined, (version) =>
      version === 'v1' ? Promise.resolve() : new Promise((resolve) => (ready = resolve)),
    )
    const deploying = test.deploys()
    await test.clock.advance(30_000)
    expect([test.phase, test.percentage]).toEqual(['GREEN_STAGING', 0])
    ready()
    expect((await deploying).status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 1 })
    expect(test.staged).toEqual(['v1', 'v2'])
  })

  it.each<[string, (version: string) => Promise<void>, string]>([
    ['rejects', () => Promise.reject(new Error('no database')), '"v2" did not get ready: no database'],
    [
      'throws',
      () => {
        throw new Error('no database')
      },
      '"v2" did not get ready: no database',
    ],
    ['hangs', hangs, '"v2" did not get ready: it took longer than 60000 ms'],
  ])('and %s, is rolled back with the reason', async (_, stage, why) => {
    const test = new TestDriver(undefined, (version) => (version === 'v1' ? Promise.resolve() : stage(version)))
    const deploying = test.deploys()
    await test.clock.advance(60_000)
    expect(await (await deploying).finished).toEqual({ outcome: 'ROLLED_BACK', why })
    expect(test.driver.state).toMatchObject({ active: 'v1', rolledBack: [] })
    expect(test.changes.filter(({ what }) => what === 'percentage')).toEqual([])
    expect(test.retired).toEqual(['v2'])
    expect(test.signals[1]?.aborted).toBe(true)
    // The next look at the record.
    expect(test.clock.pending).toBe(1)
  })

  it('is told when it is taken back meanwhile, and its end leads to nothing', async () => {
    let ready!: () => void
    const test = new TestDriver(undefined, (version) =>
      version === 'v1' ? Promise.resolve() : new Promise((resolve) => (ready = resolve)),
    )
    const deploying = test.deploys()
    await test.clock.advance(1_000)
    test.driver.rollBack('users complain')
    expect(test.signals[1]?.aborted).toBe(true)
    ready()
    await test.clock.advance(1_000)
    expect(await (await deploying).finished).toEqual({ outcome: 'ROLLED_BACK', why: 'users complain' })
    expect(test.percentage).toBe(0)
  })

  it('is made ready by the next process, and so is blue, before anything is served', async () => {
    const first = new TestDriver()
    await first.deploys()
    first.store.isDead = true
    let ready!: () => void
    const next = new TestDriver(new FaultyStore(first.store.inner), (version) =>
      version === 'v1' ? Promise.resolve() : new Promise((resolve) => (ready = resolve)),
    )
    const opening = next.driver.open(new AbortController().signal)
    await next.clock.advance(1_000)
    expect(next.staged.toSorted()).toEqual(['v1', 'v2'])
    expect(next.driver.controller).toBe('STOPPED')
    ready()
    await opening
    expect([next.phase, next.percentage]).toEqual(['CANARY_TESTING', 1])
  })

  it('is rolled back by the next process when it does not get ready there', async () => {
    const first = new TestDriver()
    await first.deploys()
    const next = new TestDriver(new FaultyStore(first.store.inner), (version) =>
      version === 'v1' ? Promise.resolve() : Promise.reject(new Error('no database')),
    )
    await next.driver.open(new AbortController().signal)
    await next.clock.advance(0)
    expect(next.phase).toBe('ROLLED_BACK')
    expect(next.results[0]?.why).toBe('"v2" died: "v2" did not get ready: no database')
  })

  it('leaves the driving to whoever has it, where no version gets ready in the process that starts', async () => {
    const first = new TestDriver()
    await first.deploys()
    const next = new TestDriver(new FaultyStore(first.store.inner), () => Promise.reject(new Error('no database')))
    await expect(next.driver.open(new AbortController().signal)).rejects.toThrow('no database')
    expect(next.driver.controller).toBe('STOPPED')
    await first.clock.advance(10_000)
    expect([first.driver.controller, first.phase]).toEqual(['DRIVING', 'COMPLETE'])
  })

  it('is ended again where another process has completed or rolled back meanwhile, and is not needed', async () => {
    const first = new TestDriver()
    await first.deploys()
    const ready: (() => void)[] = []
    const next = new TestDriver(
      new FaultyStore(first.store.inner),
      () => new Promise<void>((resolve) => ready.push(resolve)),
    )
    const opening = next.driver.open(new AbortController().signal)
    await next.clock.advance(0)
    expect(next.staged.toSorted()).toEqual(['v1', 'v2'])
    await first.clock.advance(10_000)
    expect(first.phase).toBe('COMPLETE')
    for (const each of ready) each()
    await opening
    expect([next.phase, next.driver.state.active, next.retired]).toEqual(['COMPLETE', 'v2', ['v1']])
    expect(next.staged).toHaveLength(2)
  })

  /** Another process completes `v2` while `v1` gets ready in this one. */
  async function overtaken(stage: (version: string) => Promise<void>) {
    const first = new TestDriver()
    await first.driver.open(new AbortController().signal)
    let ready!: () => void
    const next = new TestDriver(new FaultyStore(first.store.inner), (version) =>
      version === 'v1' ? new Promise((resolve) => (ready = resolve)) : stage(version),
    )
    const opening = next.driver.open(new AbortController().signal)
    await next.clock.advance(0)
    expect(next.staged).toEqual(['v1'])
    await first.driver.deploy('v2', readDeployOptions(plan, first.settings))
    await first.clock.advance(10_000)
    expect([first.driver.controller, first.phase]).toEqual(['DRIVING', 'COMPLETE'])
    ready()
    return { first, next, opening }
  }

  it('and became the active one elsewhere meanwhile leaves the driving there when it does not get ready here', async () => {
    const { first, next, opening } = await overtaken(() => Promise.reject(new Error('no database')))
    await expect(opening).rejects.toThrow('no database')
    expect(next.staged).toEqual(['v1', 'v2'])
    await first.clock.advance(10_000)
    expect([first.driver.controller, next.driver.controller]).toEqual(['DRIVING', 'STOPPED'])
    expect((await first.store.record())?.epoch).toBe(1)
  })

  it('and became the active one elsewhere meanwhile gets ready before this process takes over', async () => {
    let ready!: () => void
    const { first, next, opening } = await overtaken(() => new Promise((resolve) => (ready = resolve)))
    await next.clock.advance(10_000)
    expect([next.staged, (await first.store.record())?.epoch]).toEqual([['v1', 'v2'], 1])
    ready()
    await opening
    expect([next.driver.controller, next.driver.state.active, next.retired]).toEqual(['DRIVING', 'v2', ['v1']])
    expect((await first.store.record())?.epoch).toBe(2)
  })

  it('and does not, beside one that does, leaves the driving where it is when all goes to it there meanwhile', async () => {
    const first = new TestDriver()
    await first.deploys()
    let ready!: () => void
    const next = new TestDriver(new FaultyStore(first.store.inner), (version) =>
      version === 'v1' ? new Promise((resolve) => (ready = resolve)) : Promise.reject(new Error('no database')),
    )
    const opening = next.driver.open(new AbortController().signal)
    await first.clock.advance(10_000)
    expect([next.staged.toSorted(), first.phase]).toEqual([['v1', 'v2'], 'COMPLETE'])
    ready()
    await expect(opening).rejects.toThrow('no database')
    expect((await first.store.record())?.epoch).toBe(1)
  })

  it('leaves the driving where it is, though the record changes between the look at it and the write over it', async () => {
    const first = new TestDriver()
    await first.driver.open(new AbortController().signal)
    const next = new TestDriver(new FaultyStore(first.store.inner), (version) =>
      version === 'v1' ? Promise.resolve() : Promise.reject(new Error('no database')),
    )
    next.store.faults.set(1, 'is slow')
    const opening = next.driver.open(new AbortController().signal)
    await next.clock.advance(0)
    expect(next.store.writes).toBe(1)
    await first.driver.deploy('v2', readDeployOptions(plan, first.settings))
    await first.clock.advance(10_000)
    void next.store.land()
    await expect(opening).rejects.toThrow('no database')
    expect([first.driver.controller, first.phase]).toEqual(['DRIVING', 'COMPLETE'])
    expect((await first.store.record())?.epoch).toBe(1)
  })

  it('fails the start by an error of a store of its own, and nobody serves in its place: the record can be read', async () => {
    const first = new TestDriver()
    await first.deploys()
    await first.clock.advance(10_000)
    expect(first.driver.state.active).toBe('v2')
    const next = new TestDriver(new FaultyStore(first.store.inner), (version) =>
      version === 'v1' ? Promise.resolve() : Promise.reject(new StoreUnavailableError('Its claims', 'no')),
    )
    await expect(next.driver.open(new AbortController().signal)).rejects.toThrow('Its claims')
    expect(next.staged).toEqual(['v2'])
  })

  it('fails the start when nothing else could serve, which may be tried again', async () => {
    let isBroken = true
    const test = new TestDriver(undefined, () =>
      isBroken ? Promise.reject(new Error('no database')) : Promise.resolve(),
    )
    await expect(test.driver.open(new AbortController().signal)).rejects.toThrow('no database')
    expect(test.driver.controller).toBe('STOPPED')
    isBroken = false
    await test.driver.open(new AbortController().signal)
    expect(test.driver.controller).toBe('DRIVING')
  })

  it('is given up when it is blue and the deployment complete, and not before', async () => {
    const test = new TestDriver()
    const deployment = await test.deploys()
    await test.clock.advance(3_999)
    expect(test.retired).toEqual([])
    await test.clock.advance(1)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect(test.retired).toEqual(['v1'])
  })
})

describe('the death of', () => {
  it('green rolls back at once', async () => {
    const test = new TestDriver()
    const deployment = await test.deploys()
    test.driver.died('v2', 'exit code 7')
    expect(test.driver.route.threshold).toBe(0)
    expect(await deployment.finished).toEqual({ outcome: 'ROLLED_BACK', why: '"v2" died: exit code 7' })
    expect(test.critical[0]).toBe('Version "v2" is dead; "v1" lives. Why: exit code 7.')
  })

  it('blue leaves green what it has, whoever wants to roll back, until blue lives again', async () => {
    const test = new TestDriver()
    const deployment = await test.deploys()
    await test.clock.advance(1_000)
    test.driver.died('v1', 'exit code 7')
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 10 })
    expect(test.critical[0]).toContain('"v1" is dead; "v2" lives and keeps what it has')
    const why = '"v1" is dead (exit code 7), so nothing can be rolled back to it; the cause was: users complain'
    expect(await deployment.rollback({ why: 'users complain' })).toEqual({ outcome: 'HELD', why })
    expect(test.critical[1]).toContain('was to be rolled back and is not: green keeps 10 %.')
    await test.clock.advance(600_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 10 })
    test.driver.revived('v1')
    await test.clock.advance(30_000)
    expect(deployment.status.phase).toBe('SHIFTING_TRAFFIC')
    test.driver.died('v2', 'exit code 1')
    expect((await deployment.finished).outcome).toBe('ROLLED_BACK')
  })

  it('both is said so, and holds', async () => {
    const test = new TestDriver()
    const deployment = await test.deploys()
    test.driver.died('v1', 'exit code 1')
    test.driver.died('v2', 'exit code 2')
    expect(test.critical[1]).toContain('Version "v2" is dead, and so is "v1": nothing is served')
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 1 })
  })

  it('both, when blue lives again, takes back what green had', async () => {
    const test = new TestDriver()
    const deployment = await test.deploys()
    test.driver.died('v1', 'exit code 1')
    test.driver.died('v2', 'exit code 2')
    test.driver.revived('v1')
    const why = '"v2" is dead, and "v1" lives again'
    expect(await deployment.finished).toEqual({ outcome: 'ROLLED_BACK', why })
  })

  it('blue before green has anybody lets it be taken back by hand', async () => {
    const test = new TestDriver(undefined, (version) => (version === 'v1' ? Promise.resolve() : hangs()))
    const deploying = test.deploys(plan)
    await test.clock.advance(1_000)
    test.driver.died('v1', 'exit code 1')
    expect(test.phase).toBe('HOLD')
    expect(test.driver.rollBack('no')).toBe(undefined)
    expect((await (await deploying).finished).outcome).toBe('ROLLED_BACK')
  })

  it('the only version is said, and the death of one that serves nobody, too', async () => {
    const test = new TestDriver()
    await test.driver.open(new AbortController().signal)
    test.driver.died('v1', 'exit code 1')
    test.driver.died('v2', 'exit code 2')
    expect(test.critical).toEqual([
      'Version "v1" is dead, and no other one serves. Why: exit code 1.',
      'Version "v2" is dead; it serves nobody. Why: exit code 2.',
    ])
    test.driver.revived('v1')
    test.driver.revived('v1')
    expect(test.changes.filter(({ to }) => to === 'up')).toHaveLength(1)
  })
})
