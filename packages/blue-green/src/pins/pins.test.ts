import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Pins } from './pins.js'

describe('pins', () => {
  let clock: FakeClock
  let pins: Pins

  beforeEach(() => {
    clock = new FakeClock()
    pins = new Pins({ clock, maxPins: 3 })
  })

  it('keep a flow where it began, until it is released', () => {
    expect(pins.size).toBe(0)
    const pin = pins.pin('v1', 'wizard:7')
    expect([pins.size, pins.versionOf('wizard:7'), pins.versionOf('wizard:8')]).toEqual([1, 'v1', undefined])
    pin.release()
    pin.release()
    expect([pins.size, pins.versionOf('wizard:7'), pin.state, clock.pending]).toEqual([0, undefined, 'released', 0])
  })

  it('hold while any flow of the same key does', () => {
    const [outer, inner] = [pins.pin('v1', 'a'), pins.pin('v1', 'a')]
    outer.release()
    expect(pins.versionOf('a')).toBe('v1')
    inner.release()
    expect(pins.versionOf('a')).toBeUndefined()
  })

  it('are refused to a version that has not begun the flow', () => {
    pins.pin('v1', 'a')
    expect(() => pins.pin('v2', 'a')).toThrow(expect.objectContaining({ code: 'PINNED_ELSEWHERE', version: 'v1' }))
  })

  it('expire, and tell the flow', async () => {
    const pin = pins.pin('v1', 'a', { maxMs: 1_000 })
    const { signal } = pin
    await clock.advance(999)
    expect([pin.state, signal.aborted]).toEqual(['held', false])
    await clock.advance(1)
    expect([pin.state, signal.aborted, pins.size]).toEqual(['expired', true, 0])
    expect(pins.counts.get('v1')).toMatchObject({ held: 0, expired: 1 })
    pin.release()
    expect(pin.state).toBe('expired')
  })

  it('move when their version is rolled back, unless they stay', () => {
    const [wizard, voice] = [pins.pin('v2', 'a'), pins.pin('v2', 'b', { kind: 'voice' })]
    const stays = pins.pin('v2', 'c', { kind: 'wizard', stays: true })
    expect(pins.move('v1')).toBe(0)
    expect(pins.move('v2')).toBe(1)
    expect([wizard.state, voice.state, stays.state]).toEqual(['moved', 'held', 'held'])
    expect(wizard.signal.aborted).toBe(true)
    expect(pins.counts.get('v2')).toMatchObject({ held: 2, voice: 1, wizard: 1, moved: 1 })
    expect(pins.died('v2')).toBe(2)
    expect(pins.size).toBe(0)
  })

  it('never expire for voice, unless told so', async () => {
    const voice = pins.pin('v1', 'a', { kind: 'voice' })
    await clock.advance(10 ** 9)
    expect(voice.state).toBe('held')
    const bounded = pins.pin('v1', 'b', { kind: 'voice', maxMs: 5 })
    await clock.advance(5)
    expect(bounded.state).toBe('expired')
  })

  it('are waited for by a drain, as long as it lasts, and then move', async () => {
    const [first, second] = [pins.pin('v1', 'a'), pins.pin('v1', 'b')]
    const voice = pins.pin('v1', 'c', { kind: 'voice' })
    let isDrained = false
    void pins.drained('v1', 1_000, new AbortController().signal).then(() => (isDrained = true))
    await clock.advance(500)
    first.release()
    await clock.advance(499)
    expect([isDrained, second.state]).toEqual([false, 'held'])
    await clock.advance(1)
    expect([isDrained, second.state, voice.state]).toEqual([true, 'moved', 'held'])
  })

  it('end a drain that waits for none', async () => {
    const pin = pins.pin('v1', 'a')
    pins.pin('v1', 'b', { kind: 'voice' })
    let isDrained = false
    void pins.drained('v1', 1_000, new AbortController().signal).then(() => (isDrained = true))
    await clock.advance(1)
    pin.release()
    await clock.advance(0)
    expect(isDrained).toBe(true)
    expect(clock.pending).toBe(0)
  })

  it('are left where they are by a drain that is broken off', async () => {
    const pin = pins.pin('v1', 'a')
    const stop = new AbortController()
    const drained = pins.drained('v1', 1_000, stop.signal)
    stop.abort()
    await drained
    expect([pin.state, pins.pin('v1', 'b').state, clock.pending]).toEqual(['held', 'held', 2])
    await pins.drained('v1', 1_000, stop.signal)
    expect(pin.state).toBe('held')
  })

  it('keep their version from being given up, those that stay too', () => {
    const given: string[] = []
    pins.whenFree('v2', () => given.push('v2'))
    expect(given).toEqual(['v2'])
    const voice = pins.pin('v1', 'a', { kind: 'voice' })
    pins.whenFree('v1', () => given.push('v1'))
    pins.keep('v1')
    pins.whenFree('v1', () => given.push('v1 again'))
    expect(given).toEqual(['v2'])
    voice.release()
    expect(given).toEqual(['v2', 'v1 again'])
  })

  it.each([
    ['was rolled back', (version: string) => pins.move(version)],
    ['may be given up', (version: string) => pins.whenFree(version, () => undefined)],
  ])('begin on no version that %s, until it is wanted again, unless they stay', (_, leave) => {
    leave('v2')
    const [late, voice] = [pins.pin('v2', 'a'), pins.pin('v2', 'b', { kind: 'voice' })]
    expect([late.state, late.signal.aborted, voice.state]).toEqual(['moved', true, 'held'])
    expect([pins.versionOf('a'), pins.versionOf('b'), clock.pending]).toEqual([undefined, 'v2', 0])
    expect(pins.counts.get('v2')).toMatchObject({ held: 1, moved: 1 })
    pins.keep('v2')
    expect(pins.pin('v2', 'a').state).toBe('held')
  })

  it('begin on no version that is being ended, until it is wanted again, those that stay neither', () => {
    pins.whenFree('v2', () => pins.ended('v2'))
    const late = pins.pin('v2', 'a', { kind: 'voice' })
    expect([late.state, late.signal.aborted, pins.versionOf('a'), clock.pending]).toEqual(['moved', true, undefined, 0])
    expect(pins.pin('v1', 'a', { kind: 'voice' }).state).toBe('held')
    pins.keep('v2')
    expect(pins.pin('v2', 'b', { kind: 'voice' }).state).toBe('held')
  })

  it('are bounded: the oldest that does not stay goes first', () => {
    const voice = pins.pin('v1', 'a', { kind: 'voice' })
    const oldest = pins.pin('v1', 'b')
    pins.pin('v1', 'c')
    pins.pin('v1', 'd')
    expect([voice.state, oldest.state, pins.size]).toEqual(['held', 'moved', 3])
  })

  it.each([
    [{ kind: 'walk' }, /kind of a pin must be/],
    [{ maxMs: 0 }, /maxMs must be/],
    [{ maxMs: NaN }, /maxMs must be/],
    [{ stays: 'yes' }, /stays of a pin must be/],
    [{ forMs: 5 }, /pin has no option "forMs"/],
  ])('refuse %j', (options, message) => {
    expect(() => pins.pin('v1', 'a', options as never)).toThrow(message)
    expect(() => pins.pin('v1', '')).toThrow(/key of a pin/)
    expect(pins.size).toBe(0)
  })
})
