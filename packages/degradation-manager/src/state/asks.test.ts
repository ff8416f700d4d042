import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { DegradationManager } from '../index.js'
import { StandInStore } from '../test-support/stand-in-store.js'

const key = 'modes/bot/asks'
let clock: FakeClock
let store: StandInStore
let load: number

beforeEach(() => {
  clock = new FakeClock()
  store = new StandInStore()
  load = 0
})

const started = async (options: { readonly dryRun?: boolean } = {}) => {
  const modes = new DegradationManager({
    clock,
    store,
    features: { remind: {} },
    pressures: { load: () => load },
    rules: [
      { pressure: 'load', enter: 0.6, leave: 0.4, mode: 'DEGRADED', shared: true },
      { pressure: 'load', enter: 0.9, leave: 0.5, mode: 'MAINTENANCE', shared: true },
    ],
    ...options,
  })
  await modes.start()
  return modes
}
const killed = { format: 1, asks: { killed: { mode: 'MAINTENANCE', why: 'a test', beat: 3 } } }
const asked = async (): Promise<unknown> =>
  ((await store.inner.entry(key))?.value as { asks: unknown } | undefined)?.asks

describe('what a process that was killed had asked for', () => {
  it('is forgotten by the others, so that nobody who starts later follows it', async () => {
    await store.put(key, killed)
    const one = await started()
    expect(one.mode).toBe('MAINTENANCE')
    await clock.advance(21_000)
    expect(await asked()).toEqual({})
    expect((await started()).mode).toBe('FULL')
    const { calls } = store
    await clock.advance(500)
    // Two processes that read two keys, and write nothing any more.
    expect(store.calls - calls).toBe(4)
  })

  it('is not taken for gone because nobody could be heard while the store was', async () => {
    await store.put(key, killed)
    await started()
    await clock.advance(1_000)
    store.fault = 'refused'
    await clock.advance(60_000)
    store.fault = 'none'
    await clock.advance(10_000)
    expect(await asked()).toEqual(killed.asks)
    await clock.advance(15_000)
    expect(await asked()).toEqual({})
  })

  it('is left where it is by a dry run', async () => {
    await store.put(key, killed)
    await started({ dryRun: true })
    await clock.advance(30_000)
    expect(await asked()).toEqual(killed.asks)
  })
})

describe('what a process asks for', () => {
  const asks = async (): Promise<{ mode: string; beat: number }[]> =>
    Object.values((await asked()) as Record<string, { mode: string; beat: number }>)

  it('is shown again every five seconds, and given again to a store that has lost it', async () => {
    await started()
    load = 0.7
    await clock.advance(1_500)
    const [first] = await asks()
    await clock.advance(30_000)
    const [later] = await asks()
    expect((later?.beat ?? 0) - (first?.beat ?? 0)).toBeGreaterThanOrEqual(5)
    store.forget()
    await clock.advance(1_000)
    expect(await asks()).toMatchObject([{ mode: 'DEGRADED' }])
  })

  it('is followed by the others within a second when it gets worse', async () => {
    await started()
    load = 0.7
    await clock.advance(2_000)
    load = 0.95
    await clock.advance(1_500)
    expect(await asks()).toMatchObject([{ mode: 'MAINTENANCE' }])
  })

  it('is what it asks for last, although the store was still writing what it asked for before', async () => {
    await started()
    let land = (): void => undefined
    const compareAndSet = store.compareAndSet.bind(store)
    store.compareAndSet = async (...write) => {
      await new Promise<void>((resolve) => (land = resolve))
      return compareAndSet(...write)
    }
    load = 0.7
    await clock.advance(1_000)
    load = 0.95
    await clock.advance(1_000)
    for (let write = 0; write < 3; write++) {
      land()
      await clock.advance(0)
    }
    expect(await asks()).toMatchObject([{ mode: 'MAINTENANCE' }])
  })

  it('is nothing in a dry run', async () => {
    const dry = await started({ dryRun: true })
    const told: string[] = []
    dry.on('change', ({ what }) => told.push(what))
    load = 1
    await clock.advance(10_000)
    expect([await asked(), dry.decidedMode, told]).toEqual([undefined, 'MAINTENANCE', ['mode']])
  })

  it('as a mode that is not known here asks for nothing', async () => {
    await store.put(key, { format: 1, asks: { newer: { mode: 'READ_ONLY', why: 'a test', beat: 1 } } })
    expect((await started()).explain('remind').demands).toEqual([])
  })
})

describe('a store that hangs', () => {
  it('keeps start() waiting for no longer than one answer may take', async () => {
    store.fault = 'hung'
    let isStarted = false
    const starting = started().then((modes) => ((isStarted = true), modes))
    await clock.advance(2_000)
    expect(isStarted).toBe(true)
    const modes = await starting
    const stopping = modes.stop()
    await clock.advance(10_000)
    await stopping
    expect(clock.pending).toBe(0)
  })
})
