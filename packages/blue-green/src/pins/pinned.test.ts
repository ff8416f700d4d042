import { describe, expect, it } from 'vitest'
import { BlueGreen } from '../blue-green.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { FakeClock } from '@evenkeel/testing'

interface Step {
  readonly flow?: string | null
}

function bot(store = new FaultyStore()) {
  const clock = new FakeClock()
  const blueGreen = new BlueGreen({
    versions: { v1: async (_: Step) => 'v1', v2: async (_: Step) => 'v2' },
    initial: 'v1',
    context: ({ flow }) => ({ eventId: null, guildId: '1', pin: flow }),
    store,
    clock,
  })
  const serves = (flow?: string | null): Promise<unknown> => blueGreen.handle({ flow: flow ?? null })
  return { blueGreen, clock, serves }
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

  it('is refused where it cannot be', async () => {
    const { blueGreen, serves } = bot()
    blueGreen.pin('v1', 'a')
    expect(() => blueGreen.pin('v2', 'a')).toThrow(expect.objectContaining({ code: 'PINNED_ELSEWHERE' }))
    expect(() => blueGreen.pin('v3' as never, 'b')).toThrow('it is none of v1, v2')
    await expect(serves(7 as never)).rejects.toThrow('pin must be a string')
    await expect(serves('')).rejects.toThrow('pin must be a string')
  })
})
