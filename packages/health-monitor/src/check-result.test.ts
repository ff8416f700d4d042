import { describe, expect, it } from 'vitest'
import { describeFailure, type HealthCheck, oneLine, runCheck } from './check-result.js'

const { signal } = new AbortController()

/** What JavaScript lets a check do. */
function check(run: () => unknown): HealthCheck {
  return run as HealthCheck
}

describe('runCheck', () => {
  it.each([
    ['nothing', () => {}, 'up', 'ok'],
    ['true', () => true, 'up', 'ok'],
    ['a promise of nothing', async () => {}, 'up', 'ok'],
    ['false', () => false, 'down', 'the check returned false'],
    ['a status with a reason', () => ({ status: 'degraded', reason: 'slow\ntoday' }), 'degraded', 'slow today'],
    ['a status without a reason', () => ({ status: 'down' }), 'down', 'the check said down'],
  ])('takes %s', async (_what, run, status, reason) => {
    expect(await runCheck(check(run), signal)).toEqual({ status, reason })
  })

  it.each([
    ['null', () => null, 'null'],
    ['rows', () => [{ one: 1 }], 'an array'],
    ['a word', async () => 'PONG', 'a string'],
    ['a number', () => 0, 'a number'],
    ['an unknown status', () => ({ status: 'UP' }), 'an object without a valid status and reason'],
    ['a status that nobody can observe', () => ({ status: 'unknown' }), 'an object without'],
    ['a reason that is none', () => ({ status: 'up', reason: 1 }), 'an object without'],
  ])('takes %s for a failure that says so, never for up', async (_what, run, words) => {
    const result = await runCheck(check(run), signal)
    expect(result.status).toBe('down')
    expect(result.reason).toContain(`the check returned ${words}`)
  })

  it.each([
    ['throws at once', () => fail('boom'), 'boom'],
    ['rejects', async () => fail('later'), 'later'],
    ['rejects with null', async () => fail('x', null), 'it failed without saying why'],
    ['throws a string', () => fail('x', 'out of tea'), 'out of tea'],
    ['returns a thenable whose then throws', () => ({ then: () => fail('no then') }), 'no then'],
    [
      'returns an object whose getter throws',
      () => Object.defineProperty({}, 'status', { get: () => fail('no getter') }),
      'no getter',
    ],
    [
      'throws an error that cannot be read',
      () => fail('x', Object.defineProperty({}, 'message', { get: () => fail('hidden') })),
      'it failed with an error that cannot be read',
    ],
  ])('counts a check that %s as down', async (_what, run, reason) => {
    expect(await runCheck(check(run), signal)).toEqual({ status: 'down', reason })
  })
})

describe('describeFailure', () => {
  it('follows the cause, for "fetch failed" says nothing', () => {
    const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })
    expect(describeFailure(new TypeError('fetch failed', { cause: refused }))).toBe('fetch failed: ECONNREFUSED')
  })

  it('ends where causes go in circles', () => {
    const error = new Error('round')
    error.cause = error
    expect(describeFailure(error)).toBe('round')
  })
})

it('makes one short line of anything', () => {
  expect(oneLine(' a\r\n\u2028\u0007 b ')).toBe('a b')
  expect(oneLine('x'.repeat(1_000))).toHaveLength(300)
  expect(oneLine(`${'x'.repeat(298)}😀 and more`)).toBe(`${'x'.repeat(298)}…`)
})

function fail(message: string, thrown: unknown = new Error(message)): never {
  throw thrown
}
