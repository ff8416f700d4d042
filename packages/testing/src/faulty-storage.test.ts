import { beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from './fake-clock.js'
import { FaultyStorage } from './faulty-storage.js'

/** A storage double with private state, as real ones have. */
class Shelf {
  readonly #records = new Map<string, unknown>()

  collection(name: string) {
    return {
      name,
      get: async (key: string): Promise<unknown> => this.#records.get(key),
      set: async (key: string, value: unknown): Promise<void> => void this.#records.set(key, value),
      scan: async function* (this: void): AsyncGenerator<number> {
        yield 1
        yield 2
      },
    }
  }

  async health(): Promise<{ status: string }> {
    return { status: 'up' }
  }
}

describe('FaultyStorage', () => {
  const broken = new Error('broken')
  let shelf: Shelf
  let faulty: FaultyStorage<Shelf>
  let clock: FakeClock
  let notes: ReturnType<Shelf['collection']>

  beforeEach(() => {
    shelf = new Shelf()
    clock = new FakeClock()
    faulty = new FaultyStorage(shelf, { clock })
    notes = faulty.storage.collection('notes')
  })

  it('changes nothing while there is no fault', async () => {
    await notes.set('a', 1)
    expect(await notes.get('a')).toBe(1)
    expect(notes.name).toBe('notes')
    expect(await faulty.storage.health()).toEqual({ status: 'up' })
    expect(faulty.calls).toBe(3)
  })

  it('fails the next calls, then none', async () => {
    faulty.failNext(2, broken)
    await expect(notes.set('a', 1)).rejects.toBe(broken)
    await expect(faulty.storage.health()).rejects.toBe(broken)
    expect(await notes.get('a')).toBeUndefined()
  })

  it('fails one call in the middle', async () => {
    faulty.failNth(2, broken)
    await notes.set('a', 1)
    await expect(notes.set('a', 2)).rejects.toBe(broken)
    expect(await notes.get('a')).toBe(1)
  })

  it('lets a write arrive and loses the answer', async () => {
    faulty.failNext(1, broken, { when: 'after' })
    await expect(notes.set('a', 1)).rejects.toBe(broken)
    expect(await notes.get('a')).toBe(1)
  })

  it('refuses connections while down', async () => {
    faulty.down()
    await expect(notes.get('a')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(notes.get('a')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    faulty.up()
    expect(await notes.get('a')).toBeUndefined()
  })

  it('answers nothing while it hangs, and goes on afterwards', async () => {
    faulty.hang()
    const write = notes.set('a', 1)
    await clock.advance(1_000_000)
    expect(await shelf.collection('notes').get('a')).toBeUndefined()
    faulty.up()
    await write
    expect(await notes.get('a')).toBe(1)
  })

  it('delays by the clock', async () => {
    faulty.delay(500)
    let isDone = false
    void notes.set('a', 1).then(() => (isDone = true))
    await clock.advance(499)
    expect(isDone).toBe(false)
    await clock.advance(1)
    expect(isDone).toBe(true)
  })

  it('breaks a scan in the middle', async () => {
    faulty.failNth(2, broken)
    const seen: number[] = []
    const scan = async (): Promise<void> => {
      for await (const value of notes.scan()) seen.push(value)
    }
    await expect(scan()).rejects.toBe(broken)
    expect(seen).toEqual([1])
  })

  it('refuses to delay without a clock, and to fail a call of the past', () => {
    expect(() => new FaultyStorage(shelf).delay(1)).toThrow(TypeError)
    expect(() => faulty.failNth(0, broken)).toThrow(RangeError)
  })
})
