import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { FeatureFlags, type FlagChange } from './index.js'
import { anyEvent, happen, type BotEvent } from './test-support/bot-events.js'
import {
  BotProcesses,
  declared,
  someGuilds,
  viewOf,
  type BotFlags,
  type BotProcess,
} from './test-support/bot-processes.js'
import { BrokenStore, faults, type Fault } from './test-support/broken-store.js'
import { HeldStore } from './test-support/held-store.js'
import { HandSource } from './test-support/hand-source.js'

const why = 'a test'
const lost = new Error('the connection was lost')
const guildId = someGuilds[0] as string

const started: BotProcesses[] = []
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop()))
})

function newProcesses(): BotProcesses {
  const processes = new BotProcesses()
  started.push(processes)
  return processes
}

/** What one process does, in this order. */
const story: readonly ((flags: BotFlags) => Promise<unknown>)[] = [
  (flags) => flags.disable('search', { why }),
  (flags) => flags.setPercentage('search', 30, { why }),
  (flags) => flags.override('theme', { guildId }, 'cards', { why }),
  (flags) => flags.setShare('search', { percentage: 40, targetGuilds: [guildId], sequence: 1 }, { why }),
  (flags) => flags.disableAll({ why }),
  (flags) => flags.enableAll({ why }),
  (flags) => flags.removeOverride('theme', { guildId }, { why }),
]

/** What another process does meanwhile, with a store that works. */
const meanwhile: readonly ((flags: BotFlags) => Promise<unknown>)[] = [
  (flags) => flags.override('digest', { guildId: '1' }, false, { why }),
  (flags) => flags.setPercentage('digest', 90, { why }),
  (flags) => flags.disable('theme', { why }),
  (flags) => flags.enable('theme', { why }),
  (flags) => flags.override('theme', { userId: '2' }, 'plain', { why }),
  (flags) => flags.setShare('digest', { percentage: 70, targetGuilds: [], sequence: 5 }, { why }),
  (flags) => flags.disable('digest', { why }),
]

/** Two processes; the n-th call of the first goes wrong, in the middle of so many changes of its story. */
async function tell(
  n: number,
  fault: Fault,
  changes: number,
  breakIt?: (pair: readonly [one: BotProcess, other: BotProcess]) => void,
) {
  const processes = newProcesses()
  const broken = new BrokenStore()
  const one: BotProcess = await processes.start([], (store) => broken.around(store, () => one.faulty))
  const other = await processes.start()
  if (breakIt === undefined) broken.breakNth(n, fault)
  else breakIt([one, other])
  const epochs: number[][] = []
  const note = async (): Promise<void> => {
    epochs.push([one.flags.epoch, other.flags.epoch, await processes.storedEpoch()])
  }
  const outcomes: string[] = []
  for (const [i, change] of story.slice(0, changes).entries()) {
    let outcome = 'open'
    change(one.flags).then(
      () => (outcome = 'stored'),
      ({ code }: { code: string }) => (outcome = code),
    )
    await processes.settle()
    if (outcome === 'open') await processes.clock.advance(2_500)
    outcomes.push(outcome)
    await note()
    await meanwhile[i]?.(other.flags).catch(() => undefined)
    await processes.settle()
    await note()
  }
  return { processes, one, other, broken, outcomes, epochs, note }
}

function withoutEpoch(view: object): object {
  return { ...view, epoch: undefined }
}

describe('a store that fails at any one call of a story of changes', () => {
  /** How it ends when nothing fails, by the number of changes. */
  const ends: { readonly view: object; readonly calls: number }[] = []

  beforeAll(async () => {
    for (let changes = 0; changes <= story.length; changes++) {
      const { processes, one, other, broken } = await tell(Infinity, 'before', changes)
      await processes.recover()
      expect(viewOf(other)).toEqual(viewOf(one))
      ends.push({ view: withoutEpoch(viewOf(one)), calls: broken.calls })
      await processes.stop()
    }
  })

  describe.each(faults)('%s', (fault) => {
    it('loses no change, whether it was acknowledged or not, and no epoch falls', async () => {
      let strikes = 0
      for (let changes = 1; changes <= story.length; changes++) {
        for (let n = 1; n <= (ends[changes]?.calls ?? 0); n++) {
          const { processes, one, other, outcomes, epochs, note } = await tell(n, fault, changes)
          strikes += outcomes.filter((outcome) => outcome === 'FLAG_STORE').length
          for (let i = 0; i < 8; i++) {
            if (i === 2) one.faulty.up()
            await processes.clock.advance(1_000)
            await note()
          }
          await processes.recover()
          const fresh = await processes.start()
          await note()
          const where = `call ${n} of ${changes} changes: ${outcomes.join()}`
          expect(withoutEpoch(viewOf(one)), where).toEqual(ends[changes]?.view)
          expect(viewOf(other), where).toEqual(viewOf(one))
          expect(viewOf(fresh), where).toEqual(viewOf(one))
          for (const of of [0, 1, 2]) {
            const seen = epochs.map((each) => each[of] as number)
            expect(seen, where).toEqual([...seen].sort((a, b) => a - b))
          }
          await processes.stop()
        }
      }
      // It did strike: most calls are of changes, not of the look at the epoch.
      expect(strikes).toBeGreaterThan(30)
    })
  })

  describe.each(['hangs before', 'hangs after'] as const)('%s, and so does the process', (fault) => {
    it('leaves to the others all that was acknowledged, and nothing by half', async () => {
      const changes = story.length
      for (let n = 1; n <= (ends[changes]?.calls ?? 0); n++) {
        const { processes, other, outcomes } = await tell(n, fault, changes)
        await processes.clock.advance(20_000)
        await processes.settle()
        const failed = outcomes.indexOf('FLAG_STORE')
        const stored = failed < 0 ? changes : failed
        const fresh = await processes.start()
        expect(viewOf(fresh)).toEqual(viewOf(other))
        // The one that was under way is there or not.
        const { digest: _, epoch: __, ...seen } = viewOf(fresh) as Record<string, unknown>
        const possible = [stored, Math.min(stored + 1, changes)].map((count) => {
          const { search, suggestions } = ends[count]?.view as Record<string, unknown>
          return { search, suggestions }
        })
        expect(possible).toContainEqual({ search: seen['search'], suggestions: seen['suggestions'] })
        await processes.stop()
      }
    })
  })

  describe.each([
    ['the process that changes', 'before', 0],
    ['the process that changes', 'after', 0],
    ['the process that listens', 'before', 1],
    ['the process that listens', 'after', 1],
  ] as const)('any call of %s, also of its watch, %s', (_, when, whose) => {
    it('harms neither', async () => {
      const end = ends[story.length]
      for (let n = 1; n <= 60; n++) {
        const { processes, one, other } = await tell(n, 'before', story.length, (pair) => {
          pair[whose].faulty.failNth(n, lost, { when })
        })
        await processes.recover()
        expect(withoutEpoch(viewOf(one)), `call ${n}`).toEqual(end?.view)
        expect(viewOf(other), `call ${n}`).toEqual(viewOf(one))
        expect([one, other].map(({ flags }) => flags.feed)).toEqual(['live', 'live'])
        await processes.stop()
      }
    })
  })
})

describe('three processes to which anything happens, in any order', () => {
  it('agree in the end, on a share that none of a lower sequence has replaced, and no epoch falls', async () => {
    const run = async (events: readonly BotEvent[]): Promise<void> => {
      const processes = newProcesses()
      const three = [await processes.start(), await processes.start(), await processes.start()]
      const highest = { search: 0, digest: 0 }
      const stored: number[] = []
      const seen: number[][] = [[], [], []]
      const note = async (): Promise<void> => {
        stored.push(await processes.storedEpoch())
        for (const [i, { flags }] of three.entries()) seen[i]?.push(flags.epoch)
      }
      const wrong: unknown[] = []
      for (const event of events) {
        const process = three[event.of] as BotProcess
        void happen(event, processes, process).then(
          (result) => {
            if (event.is !== 'share' || result !== true) return
            // Acknowledged: from now on none of the same sequence or a lower one may be.
            if (event.n + 1 <= highest[event.flag]) wrong.push(event)
            highest[event.flag] = event.n + 1
          },
          (error: { code?: string }) => {
            if (error.code !== 'FLAG_STORE') wrong.push(error)
          },
        )
        // Else the next begins while this is under way.
        if (event.of === 0) await processes.settle()
        await note()
      }
      await processes.recover()
      await note()
      expect(wrong).toEqual([])
      const fresh = await processes.start()
      for (const each of three) expect(viewOf(each)).toEqual(viewOf(fresh))
      for (const name of ['search', 'digest'] as const) {
        expect(fresh.flags.share(name)?.sequence ?? 0).toBeGreaterThanOrEqual(highest[name])
      }
      for (const epochs of [stored, ...seen]) expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
      await processes.stop()
    }
    await fc.assert(fc.asyncProperty(fc.array(anyEvent, { maxLength: 40 }), run), { numRuns: 150 })
  }, 60_000)

  it('end with a flag off if to switch it off was the last thing that anybody asked for', async () => {
    const run = async (events: readonly BotEvent[], by: number): Promise<void> => {
      const processes = newProcesses()
      const three = [await processes.start(), await processes.start(), await processes.start()]
      // What was asked for and could not be stored in time is settled first: that is another question.
      for (const event of events) {
        const isChange = event.is !== 'down' && event.is !== 'mute' && event.is !== 'deaf'
        if (!isChange) continue
        await happen(event, processes, three[event.of] as BotProcess)
      }
      const { flags, faulty } = three[by] as BotProcess
      faulty.down()
      await expect(flags.disable('search', { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
      await expect(flags.disableAll({ why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
      for (const event of events) {
        if (event.of === by || event.is === 'on' || event.is === 'all on' || event.is === 'deaf') continue
        await happen(event, processes, three[event.of] as BotProcess).catch(() => undefined)
        await processes.settle()
      }
      await processes.recover()
      for (const each of three) expect(each.flags.status('search').state).toBe('all-off')
      await flags.enableAll({ why })
      await processes.settle()
      for (const each of three) expect(each.flags.status('search').state).toBe('disabled')
      await processes.stop()
    }
    await fc.assert(fc.asyncProperty(fc.array(anyEvent, { maxLength: 20 }), fc.nat(2), run), { numRuns: 100 })
  }, 60_000)
})

describe('changes of two processes that cross', () => {
  async function twoProcesses() {
    const processes = newProcesses()
    const held = new HeldStore()
    const one = await processes.start([], (store) => held.around(store))
    const other = await processes.start()
    /** The first cannot reach the store for a while; what it changes then is stored late, if at all. */
    const cutOff = async (...changes: readonly ((flags: BotFlags) => Promise<unknown>)[]): Promise<void> => {
      one.faulty.down()
      for (const change of changes) await expect(change(one.flags)).rejects.toMatchObject({ code: 'FLAG_STORE' })
      await processes.settle()
    }
    return { processes, held, one, other, cutOff, pair: [one.flags, other.flags] as const }
  }
  const target = { guildId }

  it('leave in force what came last when the answer to what came before is slow', async () => {
    const { processes, held, one, other } = await twoProcesses()
    const letGo = held.hold('compareAndSet')
    const stored = one.flags.setPercentage('search', 10, { why })
    await processes.settle()
    await other.flags.disable('search', { why })
    await processes.settle()
    expect([one.flags.epoch, one.flags.status('search').state]).toEqual([2, 'disabled'])
    letGo()
    await stored
    expect([one.flags.epoch, one.flags.status('search').state]).toEqual([2, 'disabled'])
  })

  it.each([true, false, undefined])('end with one override, %s, when both set it', async (last) => {
    const { processes, held, one, other, pair } = await twoProcesses()
    const letGo = held.hold('set')
    const stored = one.flags.override('digest', target, last !== true, { why })
    await processes.settle()
    await (last === undefined
      ? other.flags.removeOverride('digest', target, { why })
      : other.flags.override('digest', target, last, { why }))
    await processes.settle()
    letGo()
    await stored
    await processes.recover()
    expect(viewOf(one)).toEqual(viewOf(other))
    expect(pair.map((flags) => flags.status('digest').guildOverrides)).toEqual(last === undefined ? [0, 0] : [1, 1])
    if (last !== undefined) expect(pair.map((flags) => flags.isEnabled('digest', target))).toEqual([last, last])
  })

  it('leave an acknowledged override in place of an earlier one that comes late', async () => {
    const { processes, other, cutOff, pair } = await twoProcesses()
    await cutOff((flags) => flags.override('digest', target, true, { why: 'earlier' }))
    await other.flags.override('digest', target, false, { why: 'later' })
    await processes.recover()
    expect(pair.map((flags) => flags.isEnabled('digest', target))).toEqual([false, false])
  })

  it('leave an acknowledged percentage in place of several earlier ones that come late', async () => {
    const { processes, other, cutOff, pair } = await twoProcesses()
    await cutOff(
      (flags) => flags.setPercentage('search', 80, { why }),
      (flags) => flags.setPercentage('search', 90, { why }),
    )
    await other.flags.setPercentage('search', 20, { why })
    await processes.recover()
    expect(pair.map((flags) => flags.status('search').percentage)).toEqual([20, 20])
  })

  it.each([
    ['after it was switched on in between', true],
    ['also when it was off all the time', false],
  ])('leave everything off when that was asked for after what comes late, %s', async (_, isOnBetween) => {
    const { processes, other, cutOff, pair } = await twoProcesses()
    await other.flags.disableAll({ why: 'the first incident' })
    await other.flags.disable('search', { why: 'the first incident' })
    await processes.settle()
    await cutOff(
      (flags) => flags.enableAll({ why }),
      (flags) => flags.enable('search', { why }),
    )
    if (isOnBetween) {
      await other.flags.enableAll({ why })
      await other.flags.enable('search', { why })
    }
    await other.flags.disableAll({ why: 'the second incident' })
    await other.flags.disable('search', { why: 'the second incident' })
    await processes.recover()
    expect(pair.map((flags) => flags.status('search').state)).toEqual(['all-off', 'all-off'])
    await other.flags.enableAll({ why })
    await processes.settle()
    expect(pair.map((flags) => flags.status('search').state)).toEqual(['disabled', 'disabled'])
  })

  it('end an override in time that could be stored only after its time', async () => {
    const { processes, one, cutOff, pair } = await twoProcesses()
    await cutOff((flags) => flags.override('digest', target, false, { why, forMs: 1_000 }))
    await processes.clock.advance(10_000)
    await processes.recover()
    // What is changed afterwards is stored as ever.
    await one.flags.setPercentage('search', 5, { why })
    await processes.settle()
    expect(pair.map((flags) => flags.isEnabled('digest', target))).toEqual([true, true])
    expect(pair.map((flags) => flags.status('search').percentage)).toEqual([5, 5])
  })

  it('give a store that was emptied its overrides as well as its state', async () => {
    const { processes, one } = await twoProcesses()
    await one.flags.override('digest', target, false, { why })
    await one.flags.disable('search', { why })
    await processes.settle()
    await processes.storage.collection('evenkeel').clear()
    await processes.recover()
    const { flags } = await processes.start()
    expect([flags.isEnabled('digest', target), flags.status('search').state]).toEqual([false, 'disabled'])
  })
})

describe('a source that is read again', () => {
  it('in the middle of a rollback undoes nothing of it, in any process', async () => {
    const processes = newProcesses()
    const document = { flags: { search: { percentage: 90 }, theme: { default: 'plain' } } }
    const sources = [new HandSource(document), new HandSource(document)] as const
    const [one, other] = [await processes.start([sources[0]]), await processes.start([sources[1]])]
    let sequence = 0
    const reread = async (percentage: number): Promise<void> => {
      for (const source of sources) {
        source.say({ flags: { search: { percentage: 90, owner: `owner ${++sequence}` }, theme: { default: 'cards' } } })
        source.say({ flags: {} })
        source.say(document)
      }
      await processes.settle()
      for (const { flags } of [one, other]) expect(flags.status('search').percentage).toBe(percentage)
    }
    await reread(90)
    for (const percentage of [5, 25, 50, 10, 0]) {
      const share = { percentage, targetGuilds: [], sequence: ++sequence }
      const stored = one.flags.setShare('search', share, { why: 'step by step' })
      // Also before it is stored.
      sources[0].say({ ...document, segments: {} })
      expect(one.flags.status('search').percentage).toBe(percentage)
      expect(await stored).toBe(true)
      await processes.settle()
      await reread(percentage)
    }
    for (const { flags } of [one, other]) {
      expect(someGuilds.filter((each) => flags.isEnabled('search', { guildId: each }))).toEqual([])
    }
    const late = await processes.start([new HandSource(document)])
    expect(late.flags.status('search').percentage).toBe(0)
  })

  it('a thousand times leaves one scope its one answer throughout', async () => {
    const processes = newProcesses()
    const source = new HandSource({ flags: { search: { percentage: 100 } } })
    const { flags } = await processes.start([source])
    void flags.override('theme', { guildId }, 'plain', { why })
    const scope = flags.for({ guildId })
    const first = [scope.isEnabled('search'), scope.isEnabled('suggestions'), scope.variant('theme')]
    const seen = new Set<boolean>()
    for (let i = 0; i < 1_000; i++) {
      const percentage = i % 2 === 0 ? 0 : 100
      const weights = { plain: i % 3, cards: (i % 2) + 1 }
      source.say({ flags: { search: { percentage }, theme: { weights }, [`extra${i % 50}`]: true } })
      if (i % 100 === 0) void flags.override('theme', { guildId }, i % 200 === 0 ? 'cards' : 'none', { why })
      if (i % 250 === 0) void flags.disable('suggestions', { why })
      seen.add(flags.isEnabled('search', { guildId }))
      expect([scope.isEnabled('search'), scope.isEnabled('suggestions'), scope.variant('theme')]).toEqual(first)
    }
    expect(seen).toEqual(new Set([true, false]))
    expect(flags.for({ guildId }).isEnabled('suggestions')).toBe(false)
  })
})

describe('a listener that throws', () => {
  it('stops no change, here or elsewhere, and does not deafen its process', async () => {
    const processes = newProcesses()
    const [one, other] = [await processes.start(), await processes.start()]
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const heard: FlagChange[] = []
    for (const { flags } of [one, other]) {
      flags.on('change', (change) => {
        heard.push(change)
        throw new Error(`a fault of the bot, at ${change.what}`)
      })
    }
    for (const change of story) await change(one.flags)
    await other.flags.override('digest', { guildId }, false, { why, forMs: 1_000 })
    await processes.settle()
    await processes.clock.advance(2_000)
    expect(viewOf(other)).toEqual(viewOf(one))
    expect(one.flags.status('search')).toMatchObject({ state: 'disabled', percentage: 40 })
    expect(one.flags.status('digest').guildOverrides).toBe(0)
    expect([one, other].map(({ flags }) => flags.feed)).toEqual(['live', 'live'])
    // Each of them, by each of the two.
    expect(heard.length).toBeGreaterThanOrEqual(2 * story.length)
    const codes = emitWarning.mock.calls.map(([, options]) => (options as unknown as { code: string }).code)
    emitWarning.mockRestore()
    expect(codes).toEqual(heard.map(() => 'EVENKEEL_LISTENER'))
  })
})

describe('100,000 overrides for a time', () => {
  const count = 100_000
  /** A sanity deadline, far above what it takes. */
  const timeout = 60_000

  it('are gone from memory when it is over, in the process that set them', { timeout }, async () => {
    const clock = new FakeClock()
    const flags = new FeatureFlags({ flags: declared, environment: {}, clock })
    let ended = 0
    flags.on('change', ({ to }) => (to === undefined ? ended++ : undefined))
    for (let i = 0; i < count; i++) {
      // In a bot, handlers ask in between.
      if (i % 1_000 === 0) flags.for({ guildId }).isEnabled('digest')
      void flags.override('digest', { guildId: `${i}` }, false, { why, forMs: 1_000 + (i % 60) * 1_000 })
    }
    expect(flags.status('digest').guildOverrides).toBe(count)
    await clock.advance(30_000)
    expect(flags.status('digest').guildOverrides).toBeGreaterThan(count * 0.4)
    expect(flags.status('digest').guildOverrides).toBeLessThan(count * 0.6)
    await clock.advance(40_000)
    expect(flags.status('digest').guildOverrides).toBe(0)
    expect(flags.isEnabled('digest', { guildId: '7' })).toBe(true)
    expect(ended).toBe(count)
    expect(clock.pending).toBe(0)
  })

  it('and 20,000 in a store are gone from the memory of all processes and from the store', { timeout }, async () => {
    const shared = 20_000
    const processes = newProcesses()
    const [one, other] = [await processes.start(), await processes.start()]
    for (let i = 0; i < shared; i += 500) {
      const some = Array.from({ length: 500 }, (_, j) => String(i + j))
      await Promise.all(some.map((id) => one.flags.override('digest', { guildId: id }, false, { why, forMs: 60_000 })))
    }
    // No time passes; the news of them takes its turns.
    while (other.flags.status('digest').guildOverrides < shared) await processes.settle()
    expect(one.flags.status('digest').guildOverrides).toBe(shared)
    await processes.clock.advance(62_000)
    for (const { flags } of [one, other]) expect(flags.status('digest').guildOverrides).toBe(0)
    const late = await processes.start()
    expect(late.flags.status('digest').guildOverrides).toBe(0)
    expect(await processes.storage.collection('evenkeel').count({ prefix: 'flags/override/' })).toBe(0)
  })
})
