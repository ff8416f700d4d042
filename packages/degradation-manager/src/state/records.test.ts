import { describe, expect, it } from 'vitest'
import { memoryState, StateFormatError } from '../index.js'
import { readAsks, readOverride } from './records.js'

describe('a record', () => {
  const override = { format: 1, epoch: 1, id: 'a', why: 'a test', by: null, mode: 'DEGRADED', forMs: 5, expiresAt: 9 }

  it.each([
    { expiresAt: null },
    { forMs: null },
    { forMs: 'x', expiresAt: 'x' },
    { id: 7 },
    { mode: 7 },
    { epoch: 0.5 },
  ])('of what was done by hand is refused when it is malformed: %j', (wrong) => {
    expect(readOverride('key', override)).toMatchObject({ forMs: 5, expiresAt: 9 })
    expect(() => readOverride('key', { ...override, ...wrong })).toThrow(StateFormatError)
  })

  it.each([
    null,
    {},
    { mode: 'DEGRADED', why: 'a test' },
    { mode: 7, why: 'a test', beat: 1 },
    { mode: 'DEGRADED', beat: 1 },
  ])('of what is asked for is refused when it is malformed: %j', (ask) =>
    expect(() => readAsks('key', { format: 1, asks: { one: ask } })).toThrow(StateFormatError),
  )
})

describe('memoryState', () => {
  it('keeps what was written, whatever becomes of the object', async () => {
    const state = memoryState()
    const value = { mode: 'DEGRADED' }
    await state.compareAndSet('key', undefined, value)
    value.mode = 'FULL'
    const read = (await state.entry('key'))?.value as typeof value
    expect(read).toEqual({ mode: 'DEGRADED' })
    read.mode = 'FULL'
    expect((await state.entry('key'))?.value).toEqual({ mode: 'DEGRADED' })
  })
})
