import { expect, it } from 'vitest'
import { look } from '../test-support/look.js'
import { flagCheck } from './flag-check.js'

function flags(states: Readonly<Record<string, string>>, feed: 'none' | 'live' | 'stale' = 'live') {
  return { names: Object.keys(states), feed, status: (name: string) => ({ state: states[name] ?? '' }) }
}

it.each([
  [flags({}), 'up', 'all flags (0) do as they were told'],
  [flags({ a: 'active', b: 'disabled', c: 'blocked' }, 'none'), 'up', 'all flags (3) do as they were told'],
  [flags({ a: 'active', b: 'fallen-back' }), 'degraded', '1 of 2 flags has fallen back: b'],
  [
    flags(Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => [name, 'fallen-back']))),
    'degraded',
    '7 of 7 flags have fallen back: a, b, c, d, e, and 2 more',
  ],
  [flags({ a: 'all-off' }), 'degraded', 'all flags are off'],
  [
    flags({ a: 'fallen-back' }, 'stale'),
    'degraded',
    '1 of 1 flags has fallen back: a; the store of the flags is out of reach, and they answer from what was seen last',
  ],
])('%o is %s', async (given, status, reason) => {
  expect(await look(flagCheck(given))).toEqual({ status, reason })
})

it('calls the methods on their flags', async () => {
  class Flags {
    readonly names = ['a']
    readonly feed = 'live'
    readonly #state = 'active'
    status(): { state: string } {
      return { state: this.#state }
    }
  }
  expect((await look(flagCheck(new Flags()))).status).toBe('up')
})

it.each([undefined, null, {}, { names: ['a'] }, { status: () => ({}) }])('refuses %o', (given) => {
  expect(() => flagCheck(given as never)).toThrow(TypeError)
})
