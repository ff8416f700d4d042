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
    rules: [{ pressure: 'load', enter: 0.9, leave: 0.5, mode: 'DEGRADED', shared: true }],
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

  it('is left where it is by a dry run', async () => {
    await store.put(key, killed)
    await started({ dryRun: true })
    await clock.advance(30_000)
    expect(await asked()).toEqual(killed.asks)
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
