import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Lease, type LeaseNews, type LeaseTerm } from '../lease.js'
import { MemoryStorage } from '../memory-storage.js'

const LEASE_MS = 900
const FENCED = { code: 'STORAGE_CONFLICT', key: 'fence/leader' }

describe('Lease', () => {
  let storage: MemoryStorage
  let faulty: FaultyStorage<MemoryStorage>
  let clock: FakeClock

  beforeEach(() => {
    storage = new MemoryStorage()
    faulty = new FaultyStorage(storage)
    clock = new FakeClock()
  })

  /** A competitor in a process of its own: with its own clock, if it is given one. */
  function competitor(owner: string, own: FakeClock = clock): Lease {
    const store = faulty.storage.collection('evenkeel')
    return new Lease({ store, name: 'leader', leaseMs: LEASE_MS, scope: 'process', owner, clock: own })
  }

  async function acquired(lease: Lease): Promise<LeaseTerm> {
    const term = await lease.acquire()
    if (term === undefined) throw new Error('the lease is not free')
    return term
  }

  function write(term: LeaseTerm, value: string): Promise<unknown> {
    return storage.batch([term.fence(), { type: 'set', collection: 'notes', key: 'driver', value }])
  }

  it('is held by one at a time', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    const terms = await Promise.all([a.acquire(), b.acquire()])
    expect(terms.filter((term) => term !== undefined)).toHaveLength(1)
    expect([a.isHeld, b.isHeld].filter(Boolean)).toHaveLength(1)
  })

  it('gives the term that runs to whoever asks again', async () => {
    const lease = competitor('a')
    expect(await acquired(lease)).toBe(await acquired(lease))
    expect(lease.term).toBe(await acquired(lease))
  })

  it('is renewed for as long as it is held, and its fence holds all the time', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    const term = await acquired(a)
    const fence = term.fence()
    for (let i = 0; i < 20; i++) {
      await clock.advance(LEASE_MS / 2)
      expect(await b.acquire()).toBeUndefined()
    }
    expect(term.isHeld).toBe(true)
    await storage.batch([fence, { type: 'set', collection: 'notes', key: 'driver', value: 'a' }])
  })

  it('is free for another as soon as it was given back', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    const first = await acquired(a)
    await a.stop()
    expect(first.isHeld).toBe(false)
    expect(first.lost.reason).toMatchObject({ code: 'STORAGE_LEASE_LOST', token: 1 })
    expect((await acquired(b)).token).toBe(2)
  })

  it('goes to who waits for it when it is given back', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    await acquired(a)
    const waiting = b.acquire({ waitMs: 10_000 })
    await clock.advance(300)
    await a.stop()
    await clock.advance(LEASE_MS / 6)
    expect((await waiting)?.token).toBe(2)
  })

  it('gives up waiting in time', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    await acquired(a)
    const waiting = b.acquire({ waitMs: 2_000 })
    await clock.advance(2_000)
    expect(await waiting).toBeUndefined()
  })

  it('stops waiting when told to, with the reason', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    await acquired(a)
    const control = new AbortController()
    const waiting = b.acquire({ waitMs: Infinity, signal: control.signal })
    await clock.advance(100)
    control.abort(new Error('closing time'))
    await expect(waiting).rejects.toThrow('closing time')
    expect(clock.pending).toBe(2) // the renewal and the end of the first
  })

  describe('when its holder shows no life', () => {
    it('is taken over after a whole lease on the clock of the challenger, and stale writes are refused', async () => {
      const frozen = new FakeClock()
      const [a, b] = [competitor('a', frozen), competitor('b')]
      const stale = await acquired(a)
      const waiting = b.acquire({ waitMs: 10_000 })
      await clock.advance(LEASE_MS - 1)
      expect(b.isHeld).toBe(false)
      await clock.advance(LEASE_MS / 6)
      const fresh = await waiting
      expect(fresh?.token).toBe(2)
      // Its clock stood still, as on a machine that was suspended: it believes, and only the store knows better.
      expect(stale.isHeld).toBe(true)
      await expect(write(stale, 'a')).rejects.toMatchObject(FENCED)
      await write(fresh as LeaseTerm, 'b')
      // Its first renewal tells it.
      await frozen.advance(LEASE_MS / 3)
      expect(stale.lost.aborted).toBe(true)
    })

    it('is believed in by nobody twice, although the clock of the holder is slower by a tenth', async () => {
      const slow = new FakeClock()
      const [a, b] = [competitor('a', slow), competitor('b')]
      await acquired(a)
      await slow.advance(LEASE_MS / 3)
      faulty.down() // for the holder: the challenger is given the store itself
      const other = new Lease({
        store: storage.collection('evenkeel'),
        name: 'leader',
        leaseMs: LEASE_MS,
        scope: 'process',
        clock,
      })
      void other.acquire({ waitMs: 100_000 })
      await clock.advance(0)
      for (let ms = 0; ms < 2 * LEASE_MS && !other.isHeld; ms += 10) {
        await slow.advance(9)
        await clock.advance(10)
        expect(a.isHeld && other.isHeld).toBe(false)
      }
      expect(other.isHeld).toBe(true)
      expect(b.isHeld).toBe(false)
    })
  })

  describe('when the store is out of reach', () => {
    it('is held for as long as nobody can take it over, and lost in time', async () => {
      const lease = competitor('a')
      const term = await acquired(lease)
      const lost = vi.fn<(news: LeaseNews) => void>()
      lease.on('lost', lost)
      faulty.down()
      await clock.advance(LEASE_MS * 0.9 - 1)
      expect(term.isHeld).toBe(true)
      await clock.advance(1)
      expect(term.isHeld).toBe(false)
      expect(term.lost.aborted).toBe(true)
      expect(lost).toHaveBeenCalledOnce()
      expect(lost.mock.calls[0]?.[0]).toMatchObject({ from: 'HELD', to: 'WAITING', severity: 'WARNING', token: 1 })
      expect(lost.mock.calls[0]?.[0].message).toContain('could not be renewed for 810 ms')
      expect(() => term.fence()).toThrow('is held no longer')
    })

    it('is kept when the store comes back in time', async () => {
      const term = await acquired(competitor('a'))
      faulty.down()
      await clock.advance(LEASE_MS * 0.7)
      faulty.up()
      await clock.advance(LEASE_MS * 5)
      expect(term.isHeld).toBe(true)
    })

    it('is lost in time when the store does not even answer', async () => {
      const term = await acquired(competitor('a'))
      faulty.hang()
      await clock.advance(LEASE_MS * 0.9)
      expect(term.isHeld).toBe(false)
      expect((term.lost.reason as Error).message).toContain('the store did not answer')
    })

    it('is kept when renewals arrive although the store said that they failed', async () => {
      const term = await acquired(competitor('a'))
      faulty.failNext(2, new Error('the connection broke'), { when: 'after' })
      await clock.advance(LEASE_MS * 5)
      expect(term.isHeld).toBe(true)
      await write(term, 'a')
    })

    it('is taken again without a wait by who holds the record, with another token', async () => {
      const lease = competitor('a')
      await lease.start()
      const first = lease.term
      faulty.down()
      await clock.advance(LEASE_MS)
      expect(lease.isHeld).toBe(false)
      faulty.up()
      await clock.advance(LEASE_MS / 6)
      expect(lease.term?.token).toBe(2)
      await expect(Promise.resolve().then(() => write(first as LeaseTerm, 'a'))).rejects.toMatchObject({
        code: 'STORAGE_LEASE_LOST',
      })
      await lease.stop()
    })

    it('rejects who asks, and begins nothing', async () => {
      faulty.down()
      const lease = competitor('a')
      await expect(lease.acquire()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await expect(lease.start()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await clock.advance(10_000)
      expect(clock.pending).toBe(0)
    })

    it.each([1, 2, 3, 4])('leaves no term in doubt when step %i of an acquisition fails', async (step) => {
      for (const when of ['before', 'after'] as const) {
        faulty.up()
        faulty.failNth(step, new Error('the connection broke'), { when })
        const lease = competitor('a')
        await lease.acquire().catch(() => undefined)
        const term = await lease.acquire({ waitMs: 0 })
        faulty.up()
        // Whatever was left half done by this competitor does not keep it from the lease.
        expect(term?.isHeld).toBe(true)
        await write(term as LeaseTerm, 'a')
        await lease.stop()
        await clock.advance(0)
      }
    })
  })

  it('competes until it is stopped, and tells what happens', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    const messages: string[] = []
    b.on('change', ({ message }) => messages.push(message))
    await a.start()
    await b.start()
    await b.start()
    expect([a.isHeld, b.isHeld]).toEqual([true, false])
    await clock.advance(LEASE_MS * 3)
    await a.stop()
    await clock.advance(LEASE_MS / 6)
    expect([a.isHeld, b.isHeld]).toEqual([false, true])
    await b.stop()
    await b.stop()
    expect(messages).toEqual([
      'The lease "leader" went from STOPPED to WAITING: a holds it.',
      'The lease "leader" (token 2) went from WAITING to HELD: it was free, or its holder had shown no life for its time.',
      'The lease "leader" went from HELD to STOPPED: it was stopped.',
    ])
    expect(clock.pending).toBe(0)
  })

  it('competes for the last word when it is stopped and started in one turn', async () => {
    const lease = competitor('a')
    await lease.start()
    const stopping = lease.stop()
    const starting = lease.start()
    await clock.advance(0)
    await Promise.all([stopping, starting])
    await clock.advance(LEASE_MS)
    expect(lease.isHeld).toBe(true)
    await lease.stop()
    await clock.advance(LEASE_MS * 5)
    expect(lease.isHeld).toBe(false)
    expect(clock.pending).toBe(0)
  })

  it('competes once when it is started twice while it is being stopped', async () => {
    const lease = competitor('a')
    await lease.start()
    const stopping = lease.stop()
    const starting = [lease.start(), lease.start()]
    await clock.advance(0)
    await Promise.all([stopping, ...starting])
    await lease.stop()
    await clock.advance(LEASE_MS * 5)
    expect(lease.isHeld).toBe(false)
    expect(clock.pending).toBe(0)
  })

  it('is waited for no longer once it was stopped', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    await acquired(a)
    const waiting = b.acquire({ waitMs: 60_000 })
    await clock.advance(LEASE_MS / 3)
    await b.stop()
    await a.stop()
    await clock.advance(LEASE_MS)
    expect(await waiting).toBeUndefined()
    expect(b.isHeld).toBe(false)
    expect(clock.pending).toBe(0)
  })

  it('is handed over when a listener aborts the wait in the moment that it was taken', async () => {
    const lease = competitor('a')
    const control = new AbortController()
    lease.on('acquired', () => control.abort(new Error('enough')))
    const term = await lease.acquire({ signal: control.signal })
    // Held and not handed over, it would be renewed for ever, and nobody would know.
    expect(term?.isHeld).toBe(true)
    await lease.stop()
    expect(clock.pending).toBe(0)
  })

  it('is not held behind the back of a caller that no longer waits', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    faulty.hang()
    const asking = a.acquire()
    await clock.advance(LEASE_MS)
    expect(await asking).toBeUndefined()
    faulty.up()
    await clock.advance(LEASE_MS)
    expect(a.isHeld).toBe(false)
    expect(await b.acquire()).toBeDefined()
  })

  it('survives a listener that throws, and warns', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const lease = competitor('a')
    lease.on('acquired', () => {
      throw new Error('a bug')
    })
    expect((await acquired(lease)).isHeld).toBe(true)
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('a bug'), { code: 'EVENKEEL_LISTENER' })
    warn.mockRestore()
  })

  it('keeps tokens rising when one of its records was removed by hand', async () => {
    const [a, b] = [competitor('a'), competitor('b')]
    const term = await acquired(a)
    await storage.collection('evenkeel').delete('lease/leader')
    await clock.advance(LEASE_MS / 3)
    expect(term.isHeld).toBe(false)
    expect((await acquired(b)).token).toBe(2)
  })

  it('refuses a record that a newer release has written', async () => {
    await storage.collection('evenkeel').set('lease/leader', { format: 2 })
    await expect(competitor('a').acquire()).rejects.toMatchObject({
      code: 'STORAGE_FORMAT',
      found: '2',
      supported: '1',
    })
  })

  describe('refuses at construction', () => {
    const store = new MemoryStorage().collection('evenkeel')

    it('a store of too small a scope, with the remedy', () => {
      expect(() => new Lease({ store, name: 'leader' })).toThrow(
        expect.objectContaining({ code: 'STORAGE_SCOPE', found: 'process', needed: 'machine' }),
      )
      expect(() => new Lease({ store, name: 'leader' })).toThrow('SqliteStorage')
    })

    it.each<[string, object]>([
      ['a Map', { store: new Map() }],
      ['a storage', { store: new MemoryStorage() }],
      ['a lease that is too short', { leaseMs: 49 }],
      ['a lease that is no number', { leaseMs: '1s' }],
      ['an empty name', { name: '' }],
      ['an unknown scope', { scope: 'galaxy' }],
      ['an unknown option', { lease: 1 }],
    ])('%s', (_, wrong) => {
      expect(() => new Lease({ store, name: 'leader', scope: 'process', ...wrong })).toThrow(/must|has no option/)
    })

    it('an endless wait that nothing could end', async () => {
      const lease = new Lease({ store, name: 'leader', scope: 'process' })
      await expect(lease.acquire({ waitMs: Infinity })).rejects.toThrow(RangeError)
      await expect(lease.acquire({ waitMs: -1 })).rejects.toThrow(RangeError)
    })
  })

  afterEach(() => storage.stop())
})
