import { EventEmitter } from 'node:events'
import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import { look } from '../test-support/look.js'
import { discordRestCheck, type DiscordRestCheckOptions } from './discord-rest-check.js'

function connect(options: DiscordRestCheckOptions = {}) {
  const rest = new EventEmitter()
  const clock = new FakeClock()
  const check = discordRestCheck({ rest }, { clock, ...options })
  return {
    rest,
    clock,
    check,
    look: () => look(check),
    answer: (count: number, status: number, path = '/channels/1/messages'): void => {
      for (let i = 0; i < count; i++) rest.emit('response', { path }, { status })
    },
    limit: (count: number): void => {
      for (let i = 0; i < count; i++) rest.emit('rateLimited', {})
    },
  }
}

it('listens from the first look on, until it is told to stop', async () => {
  const { rest, check, look, answer } = connect()
  expect(rest.eventNames()).toEqual([])
  expect(await look()).toEqual({ status: 'up', reason: 'listening to answers begins now' })
  await look()
  expect([rest.listenerCount('response'), rest.listenerCount('rateLimited')]).toEqual([1, 1])
  answer(50, 503)
  check.stop()
  check.stop()
  expect(rest.eventNames()).toEqual([])
  await look()
  expect(await look()).toEqual({
    status: 'up',
    reason: 'there were no answers within 5 min; there were no requests within 5 min',
  })
})

it.each([
  [{ good: 100 }, 'up', '0 of 100 answers are errors (0 %); 0 of 100 requests met a rate limit (0 %)'],
  [
    { good: 5, bad: 5 },
    'up',
    '5 of 10 answers are errors (50 %), which are too few to judge by; 0 of 10 requests met a rate limit (0 %)',
  ],
  [{ good: 80, bad: 20 }, 'degraded', '20 of 100 answers are errors (20 %), above 5 %'],
  [{ good: 10, bad: 90 }, 'down', '90 of 100 answers are errors (90 %), above 50 %'],
  [{ good: 50, limited: 50 }, 'degraded', '50 of 50 requests met a rate limit (100 %), above 20 %'],
])('%o is %s', async ({ good = 0, bad = 0, limited = 0 }: Partial<Record<string, number>>, status, reason) => {
  const { look, answer, limit } = connect()
  await look()
  answer(good, 200)
  answer(bad, 502)
  limit(limited)
  expect(await look()).toEqual({ status, reason })
})

it.each([
  [404, '/channels/1/messages', 'up'],
  [400, '/interactions/1/token/callback', 'up'],
  [403, '/channels/1/messages', 'up'],
  [401, '/webhooks/1/token', 'up'],
  [401, '/channels/1/messages', 'down'],
  [429, '/channels/1/messages', 'degraded'],
  [500, '/channels/1/messages', 'down'],
])('takes %i at %s for %s', async (code, path, status) => {
  const { look, answer } = connect()
  await look()
  answer(100, code, path)
  expect((await look()).status).toBe(status)
})

it('forgets what is older than the window, also when the wall clock is moved', async () => {
  const { clock, look, answer } = connect()
  await look()
  answer(100, 503)
  await clock.advance(150_000)
  clock.jump(-3_600_000)
  answer(100, 200)
  expect((await look()).status).toBe('degraded')
  await clock.advance(150_000)
  expect(await look()).toMatchObject({ status: 'up' })
})

it('is not confused by two monitors that look in turn', async () => {
  const { look, answer } = connect()
  await Promise.all([look(), look()])
  answer(100, 503)
  const [one, other] = await Promise.all([look(), look()])
  expect(one).toEqual(other)
  expect(one.reason).toContain('100 of 100 answers')
})

it.each([
  [undefined, {}, TypeError],
  [{}, {}, TypeError],
  [{ rest: {} }, {}, TypeError],
  [{ rest: new EventEmitter() }, { windowMs: 0 }, RangeError],
  [{ rest: new EventEmitter() }, { errorRatio: 0 }, TypeError],
])('refuses %o with %o', (client, options, kind) => {
  expect(() => discordRestCheck(client as never, options as never)).toThrow(kind)
})
