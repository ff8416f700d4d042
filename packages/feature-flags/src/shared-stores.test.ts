import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { FlagStore } from './index.js'
import { BotProcesses, someGuilds, viewOf, type BotFlags, type BotProcess } from './test-support/bot-processes.js'

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

/** How the call of a store goes wrong. */
const faults = ['before', 'after', 'hangs before', 'hangs after'] as const
type Fault = (typeof faults)[number]

/** A store whose n-th call goes wrong, counted from when it is told; one that hangs does so until the store works again. */
class BrokenStore {
  /** Calls since then. */
  calls = 0
  #n = Infinity
  #fault: Fault = 'before'

  breakNth(n: number, fault: Fault): void {
    this.calls = 0
    this.#n = n
    this.#fault = fault
  }

  around(store: FlagStore, faulty: () => BotProcess['faulty']): FlagStore {
    const strike = (): void => {
      if (++this.calls !== this.#n) return
      const when = this.#fault.endsWith('before') ? 'before' : 'after'
      if (this.#fault.startsWith('hangs')) faulty().hang({ when })
      else faulty().failNext(1, lost, { when })
    }
    const struck = <P extends readonly unknown[], R>(call: (...parameters: P) => R) => {
      return (...parameters: P): R => {
        strike()
        return call(...parameters)
      }
    }
    return {
      scope: store.scope,
      entry: struck((key) => store.entry(key)),
      compareAndSet: struck((key, expected, value) => store.compareAndSet(key, expected, value)),
      set: struck((key, value, options) => store.set(key, value, options)),
      delete: struck((key) => store.delete(key)),
      scan: (options) => store.scan(options),
      watch: (options) => store.watch(options),
    }
  }
}

/** Two processes; the n-th call of the first goes wrong, in the middle of so many changes of its story. */
async function tell(
  n: number,
  fault: Fault,
  changes: number,
  breakIt?: (pair: readonly [one: BotProcess, other: BotProcess]) => void,
) {
  const processes = newProcesses()
  const broken = new BrokenStore()
  let one: BotProcess | undefined
  one = await processes.start([], (store) => broken.around(store, () => (one as BotProcess).faulty))
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
  const unharmed = Promise.all(
    Array.from({ length: story.length + 1 }, async (_, changes) => {
      const { processes, one, other, broken } = await tell(Infinity, 'before', changes)
      await processes.recover()
      const view = viewOf(one)
      expect(viewOf(other)).toEqual(view)
      const { calls } = broken
      await processes.stop()
      return { view: withoutEpoch(view), calls }
    }),
  )

  describe.each(faults)('%s', (fault) => {
    it('loses no change, whether it was acknowledged or not, and no epoch falls', async () => {
      const ends = await unharmed
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
      const ends = await unharmed
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
      const end = (await unharmed)[story.length]
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

/** Something that happens to one of three processes. */
type Event =
  | { readonly is: 'on' | 'off'; readonly of: number; readonly flag: 'search' | 'digest' }
  | { readonly is: 'all on' | 'all off'; readonly of: number }
  | { readonly is: 'percentage' | 'share'; readonly of: number; readonly flag: 'search' | 'digest'; readonly n: number }
  | { readonly is: 'override'; readonly of: number; readonly guild: number; readonly value: boolean | undefined }
  | { readonly is: 'down' | 'mute' | 'deaf' | 'up'; readonly of: number }
  | { readonly is: 'time'; readonly of: number; readonly ms: number }

const of = fc.nat(2)
const flag = fc.constantFrom('search' as const, 'digest' as const)
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ is: fc.constantFrom('on', 'off'), of, flag }),
  fc.record({ is: fc.constantFrom('all on', 'all off'), of }),
  fc.record({ is: fc.constantFrom('percentage', 'share'), of, flag, n: fc.nat(100) }),
  fc.record({
    is: fc.constant('override' as const),
    of,
    guild: fc.nat(2),
    value: fc.constantFrom(true, false, undefined),
  }),
  fc.record({ is: fc.constantFrom('down', 'mute', 'deaf', 'up'), of }),
  fc.record({ is: fc.constant('time' as const), of, ms: fc.constantFrom(0, 500, 2_500, 6_000) }),
)

/** Lets it happen. @returns the change that it is, if it is one */
async function happen(event: Event, processes: BotProcesses, { flags, faulty }: BotProcess): Promise<unknown> {
  const reason = { why }
  switch (event.is) {
    case 'on':
      return flags.enable(event.flag, reason)
    case 'off':
      return flags.disable(event.flag, reason)
    case 'all on':
      return flags.enableAll(reason)
    case 'all off':
      return flags.disableAll(reason)
    case 'percentage':
      return flags.setPercentage(event.flag, event.n, reason)
    case 'share': {
      const share = { percentage: event.n % 10, targetGuilds: [], sequence: event.n + 1 }
      return flags.setShare(event.flag, share, reason)
    }
    case 'override': {
      const target = { guildId: someGuilds[event.guild] as string }
      if (event.value === undefined) return flags.removeOverride('suggestions', target, reason)
      return flags.override('suggestions', target, event.value, reason)
    }
    case 'down':
      return faulty.down()
    case 'mute':
      // What it writes arrives, and it hears of nothing.
      return faulty.failAlways(lost, { when: 'after' })
    case 'deaf':
      return faulty.hang()
    case 'up':
      return faulty.up()
    case 'time':
      return processes.clock.advance(event.ms)
  }
}

describe('three processes to which anything happens, in any order', () => {
  it('agree in the end, on a share that none of a lower sequence has replaced, and no stored epoch falls', async () => {
    const run = async (events: readonly Event[]): Promise<void> => {
      const processes = newProcesses()
      const three = [await processes.start(), await processes.start(), await processes.start()]
      const highest = { search: 0, digest: 0 }
      const epochs: number[] = []
      for (const event of events) {
        const process = three[event.of] as BotProcess
        void happen(event, processes, process).then(
          (result) => {
            if (event.is === 'share' && result === true) {
              // Acknowledged: from now on none of a lower sequence may be.
              expect(event.n + 1).toBeGreaterThan(highest[event.flag])
              highest[event.flag] = event.n + 1
            }
          },
          ({ code }: { code: string }) => expect(code).toBe('FLAG_STORE'),
        )
        // Else the next begins while this is under way.
        if (event.of === 0) await processes.settle()
        epochs.push(await processes.storedEpoch())
      }
      await processes.recover()
      epochs.push(await processes.storedEpoch())
      const fresh = await processes.start()
      for (const each of three) expect(viewOf(each)).toEqual(viewOf(fresh))
      for (const name of ['search', 'digest'] as const) {
        expect(fresh.flags.share(name)?.sequence ?? 0).toBeGreaterThanOrEqual(highest[name])
      }
      expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
      await processes.stop()
    }
    await fc.assert(fc.asyncProperty(fc.array(anyEvent, { maxLength: 40 }), run), { numRuns: 150 })
  }, 60_000)

  it('end with a flag off if to switch it off was the last thing that anybody asked for', async () => {
    const run = async (events: readonly Event[], by: number): Promise<void> => {
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
