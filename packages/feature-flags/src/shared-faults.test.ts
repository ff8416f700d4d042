// To run it: copy it to packages/feature-flags/src/.
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { FlagStore } from './index.js'
import { BotProcesses, someGuilds, viewOf } from './test-support/bot-processes.js'

const why = 'a test'
const [guildId, otherGuildId] = someGuilds as [string, string]

let processes = new BotProcesses()
afterEach(async () => {
  await processes.stop()
  processes = new BotProcesses()
})

describe('flags that share a store', () => {
  it('say that an override is stored only when it is, at whatever moment it was set', async () => {
    for (let turns = 0; turns < 60; turns++) {
      const { flags } = await processes.start()
      void flags.override('digest', { guildId }, false, { why })
      for (let i = 0; i < turns; i++) await Promise.resolve()
      await flags.override('digest', { guildId: otherGuildId }, false, { why })
      const stored = await processes.storage.collection('evenkeel').count({ prefix: 'flags/override/' })
      expect(stored, `${turns} turns later`).toBe(2)
      await processes.stop()
      processes = new BotProcesses()
    }
  })

  it('do not take a change of their own, made while all is read, for a store that has lost its state', async () => {
    const scans: (() => void)[] = []
    const slowly = (store: FlagStore): FlagStore => ({
      scope: store.scope,
      entry: (key) => store.entry(key),
      compareAndSet: (...given) => store.compareAndSet(...given),
      set: (...given) => store.set(...given),
      delete: (...given) => store.delete(...given),
      watch: (options) => store.watch(options),
      async *scan(options) {
        await new Promise<void>((resolve) => scans.push(resolve))
        yield* store.scan(options)
      },
    })
    const other = await processes.start()
    const starting = processes.start([], slowly)
    await processes.settle()
    scans.shift()?.()
    const one = await starting
    // The watch has begun, and everything is read once more.
    await processes.settle()
    expect(scans).toHaveLength(1)
    await one.flags.setPercentage('search', 10, { why })
    await other.flags.override('digest', { guildId }, false, { why })
    scans.shift()?.()
    await processes.settle()
    while (scans.length > 0) scans.shift()?.()
    await processes.clock.advance(10_000)
    while (scans.length > 0) {
      scans.shift()?.()
      await processes.settle()
    }
    expect(other.flags.isEnabled('digest', { guildId })).toBe(false)
    expect(viewOf(one)).toEqual(viewOf(other))
  })

  it('hold on to nothing for each time that they look for a lost store', async () => {
    const add = vi.spyOn(AbortSignal.prototype, 'addEventListener')
    const remove = vi.spyOn(AbortSignal.prototype, 'removeEventListener')
    const { faulty } = await processes.start()
    const other = await processes.start()
    faulty.down()
    // The watch hears of it, and of nothing more.
    await other.flags.disable('search', { why })
    await processes.clock.advance(60_000)
    const left = add.mock.calls.length - remove.mock.calls.length
    vi.restoreAllMocks()
    // One of each watch and of the pause, and not one of each of 120 pauses.
    expect(left).toBeLessThan(10)
  })
})
