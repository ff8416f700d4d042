import { expect, it } from 'vitest'
import { look } from '../test-support/look.js'
import { poolCheck } from './pool-check.js'

const pool = (totalCount: number, idleCount: number, waitingCount: number, max?: number) => {
  return { totalCount, idleCount, waitingCount, ...(max === undefined ? {} : { options: { max } }) }
}

it.each([
  [pool(0, 0, 0, 10), 'up', 'no callers wait for a connection; 0 of at most 10 connections are in use (0 %)'],
  [pool(9, 0, 0, 10), 'up', 'no callers wait for a connection; 9 of at most 10 connections are in use (90 %)'],
  [pool(10, 0, 0, 10), 'degraded', '10 of at most 10 connections are in use (100 %), above 90 %'],
  [pool(10, 9, 1, 10), 'degraded', '1 caller waits for a connection, above 0'],
  [pool(4, 1, 0), 'up', 'no callers wait for a connection; 3 of 4 connections are in use'],
  [pool(4, 0, 21), 'down', '21 callers wait for a connection, above 20'],
])('%o is %s', async (figures, status, reason) => {
  expect(await look(poolCheck(figures))).toEqual({ status, reason })
})

it('reads the figures afresh each time, of a storage too', async () => {
  const gauges = { 'pool.size': 10, 'pool.idle': 3, 'pool.waiting': 0 }
  const check = poolCheck({ metrics: () => ({ gauges }) })
  expect((await look(check)).status).toBe('up')
  gauges['pool.waiting'] = 3
  expect(await look(check)).toEqual({ status: 'degraded', reason: '3 callers wait for a connection, above 0' })
})

it('is down for a storage that has no pool, and says what to use', async () => {
  const check = poolCheck({ metrics: () => ({ gauges: { keys: 5 } }) })
  expect((await look(check)).reason).toBe('poolCheck: this storage has no pool; use storageCheck')
})

it.each([
  [undefined, {}, TypeError],
  [new Map(), {}, TypeError],
  [pool(1, 1, 1), { downWaiting: -1 }, RangeError],
  [pool(1, 1, 1), { degradedWaiting: 50 }, RangeError],
  [pool(1, 1, 1), { waiting: 50 }, TypeError],
])('refuses %o with %o', (given, options, kind) => {
  expect(() => poolCheck(given as never, options as never)).toThrow(kind)
})
