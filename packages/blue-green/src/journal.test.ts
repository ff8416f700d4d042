import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { FaultyStore } from './test-support/faulty-store.js'
import { Journal } from './journal.js'
import type { State } from './transitions.js'

const key = 'blue-green:bot'
const serving = (active: string): State => ({ active, rolledBack: [], count: 0, deployment: null })
const adopt = (stored: State | undefined): { state: State; why: string } => ({
  state: stored ?? serving('v1'),
  why: 'test',
})

async function openJournal(
  store: FaultyStore,
  controller: string,
): Promise<{ journal: Journal; clock: FakeClock; timeOut: (write: Promise<unknown>) => Promise<unknown> }> {
  const clock = new FakeClock()
  const journal = new Journal({ store, key, controller, clock, ownEpoch: 0, timeoutMs: 1_000 })
  await journal.open(adopt)
  const timeOut = async (write: Promise<unknown>): Promise<unknown> => {
    const outcome = write.catch((error: unknown) => error)
    await clock.advance(1_000)
    return outcome
  }
  return { journal, clock, timeOut }
}

describe('Journal', () => {
  it('writes over its own write that landed late', async () => {
    const store = new FaultyStore()
    const { journal, timeOut } = await openJournal(store, 'a')
    store.faults.set(2, 'lands late')
    expect(await timeOut(journal.append(serving('v2'), 'first'))).toMatchObject({ code: 'STORE_UNAVAILABLE', applied: 'unknown' }) // prettier-ignore
    await store.land()
    expect((await store.record())?.state.active).toBe('v2')
    expect(await journal.append(serving('v3'), 'second')).toEqual({ kept: true })
    expect((await store.record())?.state.active).toBe('v3')
  })

  it('is not undone by a write of its own that lands later still', async () => {
    const store = new FaultyStore()
    const { journal, timeOut } = await openJournal(store, 'a')
    store.faults.set(2, 'lands late')
    await timeOut(journal.append(serving('v2'), 'first'))
    await journal.append(serving('v3'), 'second')
    await store.land()
    expect((await store.record())?.state.active).toBe('v3')
  })

  it('loses to a controller that opened after it, and names it', async () => {
    const store = new FaultyStore()
    const first = await openJournal(store, 'a')
    const second = await openJournal(store, 'b')
    expect(await first.journal.append(serving('v2'), 'test')).toMatchObject({ kept: false, winner: { epoch: 2, controller: 'b' } }) // prettier-ignore
    expect(await second.journal.append(serving('v3'), 'test')).toEqual({ kept: true })
  })

  it('loses to its own earlier self, too: an epoch is held once', async () => {
    const store = new FaultyStore()
    const first = await openJournal(store, 'a')
    await openJournal(store, 'a')
    expect(await first.journal.append(serving('v2'), 'test')).toMatchObject({ kept: false, winner: { epoch: 2 } })
  })

  it('loses to one that holds the same epoch of a store that began anew', async () => {
    const store = new FaultyStore()
    const { journal } = await openJournal(store, 'a')
    const anew = new FaultyStore()
    await anew.inner.compareAndSet('another key', undefined, 'so that versions differ')
    await openJournal(anew, 'b')
    Object.assign(store, { inner: anew.inner })
    const lost = { kept: false, winner: { controller: 'b', epoch: journal.epoch } }
    expect(await journal.append(serving('v2'), 'test')).toMatchObject(lost)
  })

  it('loses when its record is gone', async () => {
    const store = new FaultyStore()
    const { journal } = await openJournal(store, 'a')
    const wiped = new FaultyStore()
    Object.assign(store, { inner: wiped.inner })
    expect(await journal.append(serving('v2'), 'test')).toEqual({ kept: false, winner: undefined })
  })

  it('writes nothing where what is there is not to be taken over', async () => {
    const store = new FaultyStore()
    const first = await openJournal(store, 'a')
    const other = new Journal({ store, key, controller: 'b', clock: first.clock, ownEpoch: 0, timeoutMs: 1_000 })
    expect(await other.open(() => undefined)).toBe(false)
    expect([store.writes, (await store.record())?.epoch]).toEqual([1, 1])
    expect(await first.journal.append(serving('v2'), 'test')).toEqual({ kept: true })
  })

  it('gives up on a store that refuses every write for no reason', async () => {
    const store = new FaultyStore()
    const { journal } = await openJournal(store, 'a')
    store.compareAndSet = () => Promise.resolve(undefined)
    await expect(journal.append(serving('v2'), 'test')).rejects.toThrow(/refused 8 writes/)
  })

  it('reports what the store threw as the cause', async () => {
    const store = new FaultyStore()
    const { journal } = await openJournal(store, 'a')
    store.faults.set(2, 'refused')
    const error = (await journal.append(serving('v2'), 'test').catch((thrown: unknown) => thrown)) as Error
    expect(error.message).toBe('Writing the state under "blue-green:bot" failed: the disk is full. Nothing shifts until the store answers.') // prettier-ignore
    expect((error.cause as Error).message).toBe('the disk is full')
  })
})
