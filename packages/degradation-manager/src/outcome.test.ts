import { describe, expect, it } from 'vitest'
import { describeError, mayHaveApplied } from './outcome.js'

const dontLook = (): never => {
  throw new Error('do not look')
}
const unreadable = Object.defineProperties({}, { applied: { get: dontLook }, message: { get: dontLook } })
const withCode = (code: string): Error => Object.assign(new Error(code), { code })

describe('mayHaveApplied', () => {
  it.each<[string, unknown, boolean]>([
    ['a plain error', new Error('boom'), false],
    ['no error at all', undefined, false],
    ['a string', 'AbortError', false],
    ['an error that says unknown', { applied: 'unknown' }, true],
    ['an error that says no', { applied: 'no', name: 'TimeoutError' }, false],
    ['an aborted call', new DOMException('aborted', 'AbortError'), true],
    ['a timed-out call', new DOMException('timed out', 'TimeoutError'), true],
    ['a lost connection under a failed fetch', new TypeError('fetch failed', { cause: withCode('ECONNRESET') }), true],
    ['a refused connection', new TypeError('fetch failed', { cause: withCode('ECONNREFUSED') }), false],
    ['an error around one that says unknown', new Error('save failed', { cause: { applied: 'unknown' } }), true],
    ['one that says no around one that says unknown', { applied: 'no', cause: { applied: 'unknown' } }, false],
    [
      'one of several ways that all failed',
      new AggregateError([new Error('refused'), new DOMException('', 'TimeoutError')]),
      true,
    ],
    ['several refused connections', new AggregateError([withCode('ECONNREFUSED'), withCode('ECONNREFUSED')]), false],
    ['a connection that was never made', Object.assign(withCode('ETIMEDOUT'), { syscall: 'connect' }), false],
    [
      'a lost connection of axios, when cancelled',
      Object.assign(withCode('ERR_CANCELED'), { name: 'CanceledError' }),
      true,
    ],
    ['an answer that broke off', withCode('ERR_STREAM_PREMATURE_CLOSE'), true],
    ['a client that was destroyed meanwhile', withCode('UND_ERR_DESTROYED'), true],
    ['a lost connection of mysql', withCode('PROTOCOL_CONNECTION_LOST'), true],
    ['a timeout around one that says no', { name: 'TimeoutError', cause: { applied: 'no' } }, true],
  ])('of %s', (_, error, expected) => {
    expect(mayHaveApplied(error)).toBe(expected)
  })

  it('reads errors that contain themselves once, and gives up on too many', () => {
    const error = new AggregateError([])
    for (let copy = 0; copy < 100; copy++) error.errors.push(error)
    expect(mayHaveApplied(error)).toBe(false)
    expect(mayHaveApplied(new AggregateError(Array.from({ length: 100 }, () => new Error('refused'))))).toBe(true)
  })

  it('gives up on an error that is its own cause', () => {
    const error = new Error('boom')
    error.cause = error
    expect(mayHaveApplied(error)).toBe(false)
  })

  it('rules nothing out where an error cannot be read', () => {
    expect(mayHaveApplied(unreadable)).toBe(true)
  })
})

describe('describeError', () => {
  it.each([
    [new Error('boom'), 'boom'],
    [new RangeError(), 'RangeError'],
    ['boom', 'boom'],
    [undefined, 'undefined'],
    [Symbol('boom'), 'Symbol(boom)'],
    [Object.create(null), 'an object without a message'],
    [unreadable, 'something that cannot be read'],
  ])('finds words for %j', (error, words) => {
    expect(describeError(error)).toBe(words)
  })
})
