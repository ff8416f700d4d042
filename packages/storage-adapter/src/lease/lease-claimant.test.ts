import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Lease, runOnce, type LeaseStore, type LeaseTerm, type RunStore } from '../lease.js'
import { MemoryStorage } from '../memory-storage.js'

const LEASE_MS = 900

/** Something that happens before a write of a key is let through. */
type Before = (key: string) => void | Promise<void>

describe('a competitor that comes late', () => {
  let storage: MemoryStorage
  let clock: FakeClock

  beforeEach(() => {
    storage = new MemoryStorage()
    clock = new FakeClock()
  })

  function storeOf(before: Before = () => undefined): RunStore {
    const store = storage.collection('evenkeel')
    return {
      name: store.name,
      scope: store.scope,
      entry: (key) => store.entry(key),
      compareAndSet: async (key, expected, value) => {
        await before(key)
        return store.compareAndSet(key, expected, value)
      },
      set: async (key, value, options) => {
        await before(key)
        return store.set(key, value, options)
      },
    }
  }

  function competitor(store: LeaseStore, own: FakeClock = clock): Lease {
    return new Lease({ store, name: 'leader', leaseMs: LEASE_MS, scope: 'process', clock: own })
  }

  async function takeOver(): Promise<LeaseTerm> {
    const waiting = competitor(storeOf()).acquire({ waitMs: 10_000 })
    await clock.advance(LEASE_MS * 1.5)
    const term = await waiting
    if (term === undefined) throw new Error('nobody took over')
    return term
  }

  it('begins no term when it was taken over from between its two writes', async () => {
    const own = new FakeClock()
    let fresh: LeaseTerm | undefined
    const store = storeOf(async (key) => {
      if (key === 'fence/leader') fresh ??= await takeOver()
    })
    expect(await competitor(store, own).acquire()).toBeUndefined()
    expect(fresh?.token).toBe(2)
    await storage.batch([(fresh as LeaseTerm).fence()])
  })

  it('begins no term that took too long to write, and tries again', async () => {
    let isSlow = true
    const store = storeOf(async (key) => {
      if (key !== 'fence/leader' || !isSlow) return
      isSlow = false
      await clock.advance(LEASE_MS * 0.95)
    })
    const lease = competitor(store)
    expect(await lease.acquire()).toBeUndefined()
    expect(await lease.acquire()).toMatchObject({ token: 2, isHeld: true })
    await lease.stop()
    expect(clock.pending).toBe(0)
  })

  it('runs no job that was finished while it took over', async () => {
    const dead = new FakeClock()
    let finish: (value: string) => void = () => undefined
    const job = { id: 'report', leaseMs: LEASE_MS, scope: 'process' } as const
    const first = runOnce({ ...job, store: storeOf(), clock: dead, run: () => new Promise((done) => (finish = done)) })
    await clock.advance(0)
    const store = storeOf(async (key) => {
      if (key !== 'run/report') return
      finish('in the last moment')
      await first
    })
    const second = runOnce({ ...job, store, clock, waitMs: 10_000, run: () => 'twice' })
    await clock.advance(LEASE_MS * 1.5)
    expect(await first).toMatchObject({ status: 'ran', value: 'in the last moment' })
    expect(await second).toMatchObject({ status: 'done', attempt: 1 })
    expect(await storage.collection('evenkeel').get('run-lease/report')).toMatchObject({ holder: null })
  })

  it('gives back what it holds, although the store had denied its last renewal', async () => {
    let isBroken = false
    const broken = storage.collection('evenkeel')
    const store: LeaseStore = {
      ...storeOf(),
      compareAndSet: async (key, expected, value) => {
        const receipt = await broken.compareAndSet(key, expected, value)
        if (isBroken) throw new Error('the connection broke')
        return receipt
      },
    }
    const lease = competitor(store)
    await lease.acquire()
    isBroken = true
    await clock.advance(LEASE_MS / 3)
    isBroken = false
    await lease.stop()
    expect(await competitor(storeOf()).acquire()).toMatchObject({ token: 2 })
  })

  it('knows that its term is over before any timer could tell it', async () => {
    let frozenMs = 0
    const own = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + frozenMs,
      after: (ms: number, run: () => void) => clock.after(ms, run),
    }
    const lease = new Lease({ store: storeOf(), name: 'leader', leaseMs: LEASE_MS, scope: 'process', clock: own })
    const told: string[] = []
    lease.on('acquired', ({ token }) => told.push(`acquired ${token}`))
    lease.on('lost', ({ token, why }) => told.push(`lost ${token}`, why))
    const term = (await lease.acquire()) as LeaseTerm
    frozenMs = LEASE_MS
    expect([term.isHeld, lease.isHeld]).toEqual([false, false])
    expect(() => term.fence()).toThrow('this process stood still')
    expect(await lease.acquire()).toMatchObject({ token: 2 })
    expect(told).toEqual(['acquired 1', 'lost 1', expect.stringContaining('this process stood still'), 'acquired 2'])
    expect(term.lost.aborted).toBe(true)
    await lease.stop()
  })

  it('is not revived by a renewal that was confirmed after its time', async () => {
    let frozenMs = 0
    let isRenewal = false
    const seen: boolean[] = []
    const own = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + frozenMs,
      after: (ms: number, run: () => void) => clock.after(ms, run),
    }
    const store = storeOf(() => {
      if (isRenewal) frozenMs = LEASE_MS * 0.6
      if (isRenewal) seen.push(lease.isHeld)
    })
    const lease = new Lease({ store, name: 'leader', leaseMs: LEASE_MS, scope: 'process', clock: own })
    await lease.acquire()
    isRenewal = true
    await clock.advance(LEASE_MS / 3)
    expect([...seen, lease.isHeld]).toEqual([false, false])
    await lease.stop()
  })

  it('takes no agreement from a journal that only it can see', async () => {
    const store: LeaseStore = { ...storeOf(), compareAndSet: async () => ({ version: 'v', kept: 'journal' }) }
    await expect(competitor(store).acquire()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'unknown' })
  })
})
