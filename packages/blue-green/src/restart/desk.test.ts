import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import type { ClaimWrite, SharedStore } from './ports.js'
import { Desk } from './desk.js'
import type { Standing } from './standing.js'
import { readRestartOptions } from './options.js'
import { noTable } from './records.js'

/** A process that has a share, and becomes the owner at a moment that a test chooses. */
function deskOf(began: (eventId: string) => void = () => undefined) {
  const clock = new FakeClock()
  const runs: string[] = []
  const repeated: string[] = []
  const entries = new Map<string, unknown>()
  const undecided: (string | undefined)[] = []
  let refuse: (() => void) | undefined
  const store: SharedStore = {
    scope: 'process',
    entry: async (key) => (entries.has(key) ? { value: entries.get(key), version: '1' } : undefined),
    compareAndSet: async () => undefined,
    set: async (key, value, { ifAbsent }: ClaimWrite = {}) => {
      if (refuse !== undefined) {
        refuse()
        throw new Error('no answer')
      }
      if (ifAbsent === true && entries.has(key)) throw Object.assign(new Error('there'), { code: 'STORAGE_CONFLICT' })
      entries.set(key, value)
      return { version: '1' }
    },
  }
  const standing: { -readonly [Name in keyof Standing]: Standing[Name] } & { readonly owned: Set<string> } = {
    isIn: true,
    isAlone: false,
    isQuiet: false,
    aloneMs: 0,
    servingMs: 60_000,
    isServing: true,
    holdsLease: true,
    isStoreUp: true,
    isConfirmed: true,
    table: { ...noTable, members: { other: { version: 'v1', beat: 1, acked: 1, isReady: true } } },
    arrivalsOf: () => ({ lateByMs: 0, since: noTable }),
    owned: new Set(['mine']),
    owns: (unitId: string | undefined): boolean => standing.owned.has(unitId ?? ''),
    awaits: () => false,
    hasGivenAway: () => false,
    pinnedAt: () => undefined,
    isPinKnown: () => false,
    wasPinnedElsewhere: () => false,
    members: ['other'],
    hasClaimsSince: ({ epoch }) => standing.table.quietEpoch <= epoch,
    haveCaughtUpSince: () => true,
    hasLivedSince: () => true,
    hasBeenAwakeSince: () => true,
    hasReachedStoreSince: () => true,
    isStoreOutSince: () => false,
    hasOwnedSince: () => true,
    beat: async () => {},
    noteUnclaimed: () => {},
  }
  const settings = readRestartOptions({
    version: 'v2',
    handle: async (id: string) => {
      runs.push(id)
      began(id)
    },
    context: (id) => ({ eventId: id, guildId: 'theirs' }),
    effects: 'keyed',
    store,
    scope: 'process',
    clock,
  })
  const desk = new Desk(settings, standing, {
    repeated: (eventId, by) => repeated.push(`${eventId} of ${by}`),
    unfinished: () => undefined,
    undecided: (eventId) => undecided.push(eventId),
  })
  return {
    clock,
    runs,
    repeated,
    undecided,
    entries,
    standing,
    desk,
    store,
    settings,
    fails: (then: () => void) => (refuse = then),
    answers: () => (refuse = undefined),
  }
}

it('an event of a guild that becomes its own while the claim fails is not run without a claim: another one may have it', async () => {
  const { clock, runs, entries, standing, desk, settings, fails, answers } = deskOf()
  void desk.handle('e' as never)
  fails(() => {
    // The owner of before has claimed it, and then gave all its guilds away.
    entries.set(`claim:${settings.name}:e`, { format: 1, by: 'other', attempt: 1, done: false })
    standing.owned.add('theirs')
  })
  await clock.advance(settings.keepMs + 1_000)
  expect([runs, desk.counts.unclaimed]).toEqual([[], 0])
  answers()
  desk.reconsider()
  await clock.advance(1_000)
  expect([runs, desk.kept]).toEqual([[], 1])
})

it('an event of its own that could not be claimed waits, where this process stood still over it', async () => {
  const { clock, runs, standing, desk, settings, fails, answers } = deskOf()
  standing.owned.add('theirs')
  fails(() => (standing.holdsLease = false))
  void desk.handle('e' as never)
  await clock.advance(settings.keepMs + 1_000)
  expect([runs, desk.kept, desk.counts.unclaimed]).toEqual([[], 1, 0])
  answers()
  standing.holdsLease = true
  desk.reconsider()
  await clock.advance(1_000)
  expect([runs, desk.kept]).toEqual([['e'], 0])
})

it('an event with a claim of its own, which the store had not confirmed, waits until it is known that the others have not gone on', async () => {
  const { clock, runs, entries, standing, desk, settings, fails, answers } = deskOf()
  void desk.handle('e' as never)
  fails(() => entries.set(`claim:${settings.name}:e`, { format: 1, by: settings.id, attempt: 1, done: false }))
  await clock.advance(settings.keepMs + 1_000)
  answers()
  standing.holdsLease = false
  desk.reconsider()
  await clock.advance(1_000)
  expect([runs, desk.kept]).toEqual([[], 1])
  standing.holdsLease = true
  desk.reconsider()
  await clock.advance(1_000)
  expect([runs, desk.kept]).toEqual([['e'], 0])
})

it("an event of one that died is told as that one's, also where this process stood still over the claim", async () => {
  const { clock, runs, repeated, entries, standing, desk, settings, store } = deskOf()
  entries.set(`claim:${settings.name}:e`, { format: 1, by: 'other', attempt: 1, done: false })
  void desk.handle('e' as never)
  await clock.advance(settings.keepMs + 1_000)
  const set = store.set.bind(store)
  store.set = async (key, value) => {
    standing.holdsLease = false
    entries.delete(key)
    return set(key, value, { ifAbsent: true })
  }
  standing.table = { ...noTable, died: ['other'] }
  desk.died(['other'])
  await clock.advance(1_000)
  expect(runs).toEqual([])
  standing.holdsLease = true
  desk.reconsider()
  await clock.advance(1_000)
  expect([runs, repeated]).toEqual([['e'], ['e of other']])
})

it('of two events whose claims are answered at once, the second is not begun where the lease ran out over the first', async () => {
  const { clock, runs, standing, desk } = deskOf((eventId) => {
    if (eventId === 'a') standing.holdsLease = false
  })
  standing.owned.add('theirs')
  standing.beat = async () => {
    standing.isIn = false
  }
  void desk.handle('a' as never)
  void desk.handle('b' as never)
  await clock.advance(0)
  expect(runs).toEqual(['a'])
})

it('an event of which the store says something only when this process has gone is told of, and its promise settles', async () => {
  const { clock, standing, desk, store, undecided } = deskOf()
  const other = { other: { version: 'v1', beat: 1, acked: 1, isReady: true } }
  Object.assign(standing, {
    isServing: false,
    tableOfArrivals: { ...noTable, members: other },
    haveCaughtUpSince: () => false,
    hasBeenAwakeSince: () => false,
    hasReachedStoreSince: () => false,
  })
  standing.owned.clear()
  let answer = (): void => undefined
  store.entry = () => new Promise((resolve) => (answer = () => resolve(undefined)))
  let isSettled = false
  void desk.handle('1' as never).then(() => (isSettled = true))
  desk.decideNow()
  desk.close()
  desk.forget()
  standing.isIn = false
  answer()
  await clock.advance(200_000)
  expect([isSettled, undecided, desk.kept]).toEqual([true, ['1'], 0])
})
