import { describe, expect, it } from 'vitest'
import { SnowflakeSource } from './snowflake.js'
import { createWorld } from './world.js'

describe('SnowflakeSource', () => {
  it('rises strictly, also within a millisecond and when the clock goes back', () => {
    const source = new SnowflakeSource()
    const at = Date.UTC(2026, 0, 1)
    const ids = Array.from({ length: 10_000 }, (_, i) => BigInt(source.next(i < 9_000 ? at : at - 5_000)))
    expect(ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? 0n))).toBe(true)
    // https://discord.com/developers/docs/reference#snowflakes
    expect(Number((ids[0] ?? 0n) >> 22n) + 1_420_070_400_000).toBe(at)
    expect(Number((ids.at(-1) ?? 0n) >> 22n) + 1_420_070_400_000).toBe(at + 2)
  })
})

describe('createWorld', () => {
  it('makes the same guilds from the same seed, and others from another', () => {
    expect(createWorld(300, 1).guilds).toEqual(createWorld(300, 1).guilds)
    expect(createWorld(1, 1).guilds[0]?.id).not.toBe(createWorld(1, 2).guilds[0]?.id)
  })

  it('gives everything an id of its own', () => {
    const { botId, guilds } = createWorld(300, 1)
    const ids = [botId, ...guilds.flatMap(({ id, channelId, memberIds }) => [id, channelId, ...memberIds])]
    expect(new Set(ids).size).toBe(1 + 300 * 7)
    expect(ids.every((id) => /^\d{18,19}$/.test(id))).toBe(true)
  })
})
