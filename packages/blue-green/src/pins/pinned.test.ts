import { describe, expect, it } from 'vitest'
import { BlueGreen } from '../blue-green.js'
import type { Pin } from './pins.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { SlotOnStrings } from '../test-support/slot-on-strings.js'
import { FakeClock } from '@evenkeel/testing'

interface Step {
  readonly flow?: string | null
  readonly run?: () => unknown
}

function bot(store = new FaultyStore()) {
  const clock = new FakeClock()
  const blueGreen = new BlueGreen({
    versions: {
      v1: async ({ run }: Step) => (run === undefined ? 'v1' : run()),
      v2: async (_: Step): Promise<unknown> => 'v2',
    },
    initial: 'v1',
    context: ({ flow }) => ({ eventId: null, guildId: '1', pin: flow }),
    store,
    clock,
  })
  const serves = (flow?: string | null): Promise<unknown> => blueGreen.handle({ flow: flow ?? null })
  return { blueGreen, clock, serves, store }
}
const atOnce = { percentages: [100], stepMs: 60_000 }

describe('a flow that is pinned', () => {
  it('ends where it began, while all others move', async () => {
    const { blueGreen, serves } = bot()
    await blueGreen.start()
    const pin = blueGreen.pin('v1', 'wizard:7')
    await blueGreen.deploy('v2', atOnce)
    expect([await serves('wizard:7'), await serves('wizard:8'), await serves()]).toEqual(['v1', 'v2', 'v2'])
    expect(blueGreen.status.pins.get('v1')).toMatchObject({ held: 1, wizard: 1 })
    pin.release()
    expect(await serves('wizard:7')).toBe('v2')
  })

  it('is waited for when its version is drained, as long as drainMs, and then moves', async () => {
    const { blueGreen, clock, serves } = bot()
    await blueGreen.start()
    const [ends, stays] = [blueGreen.pin('v1', 'a'), blueGreen.pin('v1', 'b')]
    const deployment = await blueGreen.deploy('v2', atOnce)
    await clock.advance(60_000)
    expect(deployment.status.phase).toBe('DRAINING_BLUE')
    ends.release()
    await clock.advance(29_999)
    expect([deployment.status.phase, await serves('b')]).toEqual(['DRAINING_BLUE', 'v1'])
    await clock.advance(1)
    expect([deployment.status.phase, stays.state, await serves('b')]).toEqual(['COMPLETE', 'moved', 'v2'])
  })

  it('on a version that is rolled back moves in the same tick, unless it stays', async () => {
    const { blueGreen, serves } = bot()
    const deployment = await blueGreen.deploy('v2', atOnce)
    const [wizard, voice] = [blueGreen.pin('v2', 'a'), blueGreen.pin('v2', 'b', { kind: 'voice' })]
    const rolledBack = deployment.rollback()
    expect([wizard.state, wizard.signal.aborted, voice.state]).toEqual(['moved', true, 'held'])
    expect([await serves('a'), await serves('b')]).toEqual(['v1', 'v2'])
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
    expect(blueGreen.status.pins.get('v2')).toMatchObject({ held: 1, voice: 1, moved: 1 })
  })

  it('stays where it is when its version is taken back into service while it drains', async () => {
    const { blueGreen, clock, serves } = bot()
    await blueGreen.start()
    const wizard = blueGreen.pin('v1', 'a')
    const deployment = await blueGreen.deploy('v2', atOnce)
    await clock.advance(60_000)
    expect(deployment.status.phase).toBe('DRAINING_BLUE')
    expect((await deployment.rollback()).outcome).toBe('ROLLED_BACK')
    await clock.advance(60_000)
    const later = blueGreen.pin('v1', 'b')
    await blueGreen.deploy('v2', { ...atOnce, retry: true })
    expect([wizard.state, later.state, await serves('a'), await serves('b')]).toEqual(['held', 'held', 'v1', 'v1'])
  })

  it('that begins late on a version that is being drained does not hold it up', async () => {
    const { blueGreen, clock } = bot()
    await blueGreen.start()
    let pinLate!: () => void
    const late = new Promise<void>((resolve) => (pinLate = resolve))
    const call = blueGreen.handle({ run: () => late.then(() => blueGreen.pin('v1', 'late')) })
    const deployment = await blueGreen.deploy('v2', atOnce)
    await clock.advance(60_000)
    expect(deployment.status.phase).toBe('DRAINING_BLUE')
    pinLate()
    const pin = (await call) as Pin
    await clock.advance(0)
    expect([deployment.status.phase, pin.state, pin.signal.aborted]).toEqual(['COMPLETE', 'moved', true])
  })

  it.each([
    ['a worker that is being ended moves', { isHeld: false }],
    ['a function stays', { isHeld: true }],
  ])('late, and is to stay, on %s', async (_, { isHeld }) => {
    const clock = new FakeClock()
    const worker = new SlotOnStrings('v1')
    worker.drain = () => new Promise(() => undefined)
    const blueGreen = new BlueGreen({
      versions: { v1: isHeld ? async (): Promise<unknown> => 'v1' : worker, v2: new SlotOnStrings('v2') },
      initial: 'v1',
      context: () => ({ eventId: null, guildId: '1', pin: 'call' }),
      store: new FaultyStore(),
      clock,
    })
    const deployment = await blueGreen.deploy('v2', atOnce)
    await clock.advance(60_000)
    expect(deployment.status.phase).toBe('COMPLETE')
    const voice = blueGreen.pin('v1', 'call', { kind: 'voice' })
    expect([voice.state, voice.signal.aborted]).toEqual(isHeld ? ['held', false] : ['moved', true])
    expect(await blueGreen.handle({})).toBe(isHeld ? 'v1' : 'v2')
  })

  it('may begin on a version that gives its guilds back in batches, until it has none', async () => {
    const { blueGreen, clock, serves } = bot()
    const deployment = await blueGreen.deploy('v2', atOnce)
    void deployment.rollback({ batches: { percentages: [50, 0], pauseMs: 1_000 } })
    const pin = blueGreen.pin('v2', 'a')
    expect([pin.state, await serves('a')]).toEqual(['held', 'v2'])
    await clock.advance(1_000)
    expect([pin.state, await serves('a')]).toEqual(['moved', 'v1'])
  })

  it('moves when another controller has rolled its version back', async () => {
    const { blueGreen, serves, clock, store } = bot()
    await blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000 })
    const pin = blueGreen.pin('v2', 'a')
    const other = bot(new FaultyStore(store.inner))
    await other.blueGreen.rollback()
    await other.clock.advance(60_000)
    await clock.advance(60_000)
    expect([blueGreen.status.controller, pin.state, await serves('a')]).toEqual(['FENCED', 'moved', 'v1'])
  })

  it('is refused where it cannot be', async () => {
    const { blueGreen, serves } = bot()
    blueGreen.pin('v1', 'a')
    expect(() => blueGreen.pin('v2', 'a')).toThrow(expect.objectContaining({ code: 'PINNED_ELSEWHERE' }))
    expect(() => blueGreen.pin('v3' as never, 'b')).toThrow('it is none of v1, v2')
    await expect(serves(7 as never)).rejects.toThrow('pin must be a string')
    await expect(serves('')).rejects.toThrow('pin must be a string')
  })
})
