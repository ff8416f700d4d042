import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { HealthMonitor } from '../health-monitor.js'
import { discordCheck } from './discord-check.js'

const READY = 0
const CONNECTING = 1
const DISCONNECTED = 5
const RESUMING = 8

interface Shard {
  id: number
  status: number
  lastPingTimestamp: number
}

/** A client that keeps its books as discord.js 14 does: the timestamp is set when a heartbeat is answered. */
function connect(shardCount = 1) {
  const clock = new FakeClock()
  const shards = new Map<number, Shard>()
  for (let id = 0; id < shardCount; id++) shards.set(id, { id, status: READY, lastPingTimestamp: -1 })
  const check = discordCheck({ ws: { shards } }, { clock })
  return {
    clock,
    shards,
    shard: (id: number): Shard => shards.get(id) as Shard,
    look: () => check(new AbortController().signal) as { status: string; reason: string },
    /** Every shard's heartbeat, sent now, is answered. */
    beat: (...ids: number[]): void => {
      for (const shard of shards.values()) {
        if (ids.length === 0 || ids.includes(shard.id)) shard.lastPingTimestamp = clock.now()
      }
    },
  }
}

describe('a connected client', () => {
  it('is up before its first heartbeat, and while heartbeats are answered', async () => {
    const { clock, look, beat } = connect(2)
    expect(look()).toEqual({ status: 'up', reason: 'all shards (2) are ready' })
    for (let interval = 0; interval < 10; interval++) {
      await clock.advance(41_250)
      expect(look().status).toBe('up')
      beat()
    }
  })

  it('is degraded when one heartbeat is left unanswered, and down when discord.js has not noticed either', async () => {
    const { clock, look, beat } = connect()
    beat()
    await clock.advance(61_000)
    expect(look().status).toBe('up')
    await clock.advance(1_000)
    expect(look()).toEqual({ status: 'degraded', reason: 'shard 0 has had no heartbeat answered for 62 s' })
    await clock.advance(42_000)
    expect(look()).toEqual({ status: 'down', reason: 'shard 0 has had no heartbeat answered for 104 s' })
    beat()
    expect(look().status).toBe('up')
  })

  it('is not up for ever when it never gets a heartbeat answered', async () => {
    const { clock, look } = connect()
    look()
    await clock.advance(104_000)
    expect(look().status).toBe('down')
  })

  it.each([3_600_000, -3_600_000])('stays up when the wall clock is moved by %i ms', async (ms) => {
    const { clock, look, beat } = connect()
    beat()
    look()
    clock.jump(ms)
    await clock.advance(20_000)
    expect(look().status).toBe('up')
    beat()
    clock.jump(ms)
    await clock.advance(41_250)
    expect(look().status).toBe('up')
  })

  it('is seen to be dead although the wall clock was set back', async () => {
    const { clock, look, beat } = connect()
    beat()
    look()
    clock.jump(-3_600_000)
    await clock.advance(104_000)
    expect(look().status).toBe('down')
  })
})

describe('a client that is not connected', () => {
  it('is down before it has logged in', () => {
    const { look } = connect(0)
    expect(look()).toEqual({ status: 'down', reason: 'there is no shard; client.login() has not got that far' })
  })

  it.each([
    [CONNECTING, 'shard 0 is connecting'],
    [DISCONNECTED, 'shard 0 is disconnected for good'],
    [RESUMING, 'shard 0 is resuming'],
    [99, 'shard 0 is in status 99'],
  ])('is down in status %i', (status, reason) => {
    const { look, shard } = connect()
    shard(0).status = status
    expect(look()).toEqual({ status: 'down', reason })
  })

  it('is degraded when only some shards are gone, and names a few of them', () => {
    const { look, shard } = connect(8)
    for (const id of [1, 2, 3, 5]) shard(id).status = RESUMING
    expect(look()).toEqual({
      status: 'degraded',
      reason: 'shard 1 is resuming, shard 2 is resuming, shard 3 is resuming, 1 more of 8 shards ail',
    })
  })

  it('is up again as soon as it has reconnected, though the old heartbeat is ancient', async () => {
    const { clock, look, beat, shard } = connect()
    beat()
    shard(0).status = CONNECTING
    await clock.advance(600_000)
    expect(look().status).toBe('down')
    shard(0).status = READY
    expect(look().status).toBe('up')
    await clock.advance(62_000)
    expect(look().status).toBe('degraded')
  })
})

it('follows the interval of another gateway', async () => {
  const clock = new FakeClock()
  const shards = new Map([[0, { id: 0, status: READY, lastPingTimestamp: clock.now() }]])
  const gateway = { check: discordCheck({ ws: { shards } }, { clock, heartbeatIntervalMs: 200 }) }
  const health = new HealthMonitor({ checks: { gateway }, clock })
  await clock.advance(301)
  expect((await health.check('gateway')).status).toBe('degraded')
})

it.each([
  [{}, {}, TypeError],
  [undefined, {}, TypeError],
  [{ ws: { shards: [] } }, { heartbeatIntervalMs: 0 }, RangeError],
  [{ ws: { shards: [] } }, { heartbeatMs: 5 }, TypeError],
])('refuses %o with %o', (client, options, kind) => {
  expect(() => discordCheck(client as never, options as never)).toThrow(kind)
})
