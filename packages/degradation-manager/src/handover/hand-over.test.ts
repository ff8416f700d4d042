import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { guard } from '../guard/stand-alone.js'
import { HandOverUnclearError, NotTakenError } from './errors.js'
import { handOver } from './hand-over.js'
import type { EventTaker, TakeOptions } from './port.js'

interface Command {
  readonly id: string
  readonly text: string
}

const tea: Command = { id: '1', text: 'buy tea' }

const fails = async (_command: Command): Promise<string> => {
  throw new Error('the database is away')
}

/** A taker that does as told, and remembers what it was asked. */
class Deputy implements EventTaker<unknown, string> {
  readonly name = 'deputy'
  readonly asked: unknown[] = []
  checks = 0
  signal: AbortSignal | undefined
  does: (event: unknown) => Promise<string> = async () => 'the deputy has done it'

  take(event: unknown, { key, signal }: TakeOptions): Promise<string> {
    this.asked.push([key, event])
    this.signal = signal
    return this.does(event)
  }

  async check(): Promise<void> {
    this.checks++
  }
}

const byId = { key: (event: unknown) => (event as Command).id }

describe('a call that is handed over', () => {
  it('is answered by the other bot, and says so', async () => {
    const deputy = new Deputy()
    const note = guard('notes', fails, { fallback: handOver(deputy, byId) })
    expect(await note.outcome(tea)).toMatchObject({
      value: 'the deputy has done it',
      degraded: true,
      why: 'the call failed: the database is away',
    })
    expect(deputy.asked).toEqual([['1', tea]])
  })

  it('may be something else there than here', async () => {
    const deputy = new Deputy()
    const note = guard('notes', async (_text: string, _id: number): Promise<string> => fails(tea), {
      fallback: handOver(deputy, { key: (_text: string, id: number) => `note ${id}`, event: (text) => ({ text }) }),
    })
    await note('buy tea', 7)
    expect(deputy.asked).toEqual([['note 7', { text: 'buy tea' }]])
  })

  it('that was not taken goes to the next fallback', async () => {
    const deputy = new Deputy()
    deputy.does = () => Promise.reject(new NotTakenError('deputy', 'it is being updated'))
    const note = guard('notes', fails, { fallback: [handOver(deputy, byId), () => 'please come back later'] })
    expect(await note(tea)).toBe('please come back later')
  })

  it('that nobody knows of is answered by nobody else, unless doing it twice does no harm', async () => {
    const deputy = new Deputy()
    deputy.does = () => Promise.reject(new HandOverUnclearError('deputy', 'the connection was lost'))
    const fallback = [handOver(deputy, byId), () => 'please come back later']
    await expect(guard('notes', fails, { fallback })(tea)).rejects.toMatchObject({
      code: 'FALLBACK_FAILED',
      applied: 'unknown',
      cause: { code: 'HAND_OVER_UNCLEAR', taker: 'deputy' },
    })
    expect(await guard('notes', fails, { fallback, idempotent: true })(tea)).toBe('please come back later')
  })

  it('is waited for two seconds, then its signal is aborted, and the outcome is not known', async () => {
    const clock = new FakeClock()
    const deputy = new Deputy()
    deputy.does = () => new Promise(() => {})
    const note = guard('notes', fails, { clock, fallback: [handOver(deputy, byId), () => 'later'] })
    const refused = note(tea).catch((error: unknown) => error)
    await clock.advance(1_999)
    expect(deputy.signal?.aborted).toBe(false)
    await clock.advance(1)
    expect(await refused).toMatchObject({ applied: 'unknown', cause: { code: 'TIMEOUT', timeoutMs: 2_000 } })
    expect(deputy.signal?.aborted).toBe(true)
  })

  it.each([[undefined], [''], [7]])('needs an id, not %j', async (id) => {
    const deputy = new Deputy()
    const key = (() => id) as unknown as () => string
    const note = guard('notes', fails, { fallback: [handOver(deputy, { key }), ({ text }) => `later: ${text}`] })
    expect(await note(tea)).toBe('later: buy tea')
    expect(deputy.asked).toEqual([])
  })

  it('is not handed over by a drill, which asks whether it would be', async () => {
    const deputy = new Deputy()
    const note = guard('notes', fails, { fallback: handOver(deputy, byId) })
    expect(await note.drill(tea)).toMatchObject({ works: true, steps: [{ name: 'deputy', works: true }] })
    expect([deputy.checks, deputy.asked]).toEqual([1, []])
  })
})

it('options that make no sense are refused, with the remedy', () => {
  const deputy = new Deputy()
  const wrong: [() => unknown, string][] = [
    [() => handOver({} as Deputy, byId), 'needs a taker: an object with name, take and check'],
    [() => handOver(undefined as unknown as Deputy, byId), 'needs a taker'],
    [() => handOver(deputy, {} as typeof byId), 'needs key, a function'],
    [() => handOver(deputy, { ...byId, event: 1 as unknown as () => unknown }), 'event of a hand-over must be'],
    [() => handOver(deputy, { ...byId, timeoutMs: 0 }), 'timeoutMs of a hand-over'],
    [() => handOver(deputy, { ...byId, timeoutMs: Number.NaN }), 'timeoutMs of a hand-over'],
    [() => handOver(deputy, { ...byId, timeout: 5 } as typeof byId), 'cannot have "timeout"'],
  ]
  for (const [make, words] of wrong) expect(make).toThrow(words)
})
