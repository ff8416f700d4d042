import type { LedgerEvent } from '@evenkeel-examples/discord-standin'
import { describe, expect, it } from 'vitest'
import type { Blow } from '../scripts/chaos-blue-green/causes.js'
import type { Fact } from '../scripts/chaos-blue-green/facts.js'
import { judge, type Evidence, type Remark, type Tally } from '../scripts/chaos-blue-green/truth.js'

/** One event that `p1` and `p2` got at 1,000, and what was said of it since. */
function judged(facts: readonly Partial<Fact>[], ledger: Partial<LedgerEvent> = {}, more: Partial<Evidence> = {}) {
  const { tally, faults, letGo } = judge({
    sent: new Map([['1', { run: 0, command: 'reply', at: 1_000, recipients: ['p1', 'p2'], isReckless: false }]]),
    events: [{ id: '1', attempts: [], ...ledger } as unknown as LedgerEvent],
    facts: facts.map((fact) => ({ by: 'p1', at: 1_100, ...(fact.fact === 'out' ? {} : { id: '1' }), ...fact }) as Fact),
    effects: new Map(),
    blows: new Map(),
    ...more,
  })
  const said = (of: readonly Remark[]): string[] => of.map(({ what }) => what)
  return { tally, faults: said(faults), letGo: said(letGo) }
}

const worker = 'p1/v2/4711'
const answered: Partial<LedgerEvent> = { answeredAt: 1_500 }
const late: Partial<LedgerEvent> = { attempts: [{ at: 5_000, type: 4, status: 404, code: 10_062 }] }
const struck = (by: string, ...blows: readonly Blow[]): Partial<Evidence> => ({ blows: new Map([[by, blows]]) })

/** A version of `p1` begins it, and is done with it. */
const handled: readonly Partial<Fact>[] = [
  { fact: 'began', by: worker, at: 1_100, attempt: 1 },
  { fact: 'ended', by: worker, at: 1_200, attempt: 1 },
]
/** `first` begins it, and then a version of `p2` does, which is reported. */
const twice = (first = 'p1', why = ''): Partial<Fact>[] => [
  { fact: 'began', by: first, at: 1_100, attempt: 1 },
  { fact: 'repeated', by: 'p2', at: 3_000, attempt: 2, why },
  { fact: 'began', by: 'p2', at: 3_000, attempt: 2 },
  { fact: 'ended', by: 'p2', at: 3_100, attempt: 2 },
]

describe('the chaos run counts as lost', () => {
  const lost = ['was handled, and its answer never came to the platform']

  it.each<[string, string[], Partial<Tally>, Partial<LedgerEvent>, Partial<Evidence>]>([
    ['not what was answered', [], { 'answered within 3 s': 1, lost: 0 }, answered, {}],
    ['not what was answered too late', [], { 'answered too late': 1, lost: 0 }, late, {}],
    ['what a version had ended, when no answer came to the platform', lost, { lost: 1 }, {}, {}],
    ['not what died with the version', [], { 'gone with its process before the answer': 1 }, {}, struck(worker, { how: 'ended', at: 1_250 })], // prettier-ignore
    ['not what died with the owner of the version', [], { 'gone with its process before the answer': 1 }, {}, struck('p1', { how: 'ended', at: 1_250 })], // prettier-ignore
    ['what was kept back by a freeze that nobody notices', lost, { lost: 1 }, {}, struck('p1', { how: 'frozen', at: 1_150, untilAt: 1_400 })], // prettier-ignore
    ['what its process had time enough to answer before it died', lost, { lost: 1 }, {}, struck('p1', { how: 'ended', at: 4_250 })], // prettier-ignore
    ['what another process was killed over', lost, { lost: 1 }, {}, struck('p2', { how: 'ended', at: 1_250 })],
  ])('%s', (_, faults, tally, ledger, more) => {
    expect(judged(handled, ledger, more)).toMatchObject({ faults, tally })
  })

  it('what nobody has begun, although one of those who got it was there all the time', () => {
    const one = struck('p1', { how: 'ended', at: 1_050 })
    expect(judged([], {}, one)).toMatchObject({ faults: ['lost'], tally: { lost: 1 } })
    const both = { blows: new Map([...(one.blows ?? []), ...(struck('p2', { how: 'ended', at: 1_060 }).blows ?? [])]) }
    expect(judged([], {}, both)).toMatchObject({ faults: [], tally: { 'nobody left who had got it': 1 } })
  })

  it('what came to those who had been counted out before, and were back', () => {
    const out = (at: number): Partial<Fact>[] => ['p1', 'p2'].map((by) => ({ fact: 'out', by, at }))
    expect(judged(out(900))).toMatchObject({ faults: ['lost'] })
    expect(judged(out(1_900))).toMatchObject({ faults: [], tally: { 'nobody left who had got it': 1 } })
  })
})

it('tells of what was let go by whom and why, and not of what another one has handled', () => {
  const undecided: Partial<Fact> = { fact: 'undecided', by: 'p2', why: 'the store was out of reach' }
  const letGo = ['p2 let it go: the store was out of reach']
  expect(judged([undecided])).toMatchObject({ faults: [], letGo, tally: { 'let go, and told so': 1, lost: 0 } })
  expect(judged([...handled, undecided], answered)).toMatchObject({ letGo: [], tally: { 'let go, and told so': 0 } })
})

describe('the chaos run knows what came as the last one left', () => {
  const row = 'came as the last one left' as const
  const refused: Partial<Fact>[] = [
    { fact: 'got', at: 1_020 },
    { fact: 'failed', at: 1_021, why: 'NotStartedError: version "p1" was not started' },
  ]
  const left: Partial<Fact> = { fact: 'left', at: 1_100 }
  /** `p2` is killed, and `p1` goes; the run is a reckless one unless said otherwise. */
  const alone = (
    facts: readonly Partial<Fact>[],
    isReckless = true,
    more = struck('p2', { how: 'ended', at: 900 }),
  ) => {
    const sent = { run: 0, command: 'reply', at: 1_000, recipients: ['p1', 'p2'], isReckless }
    // It is of no event that a process has left.
    const all = facts.map((fact) => (fact.fact === 'left' ? { ...fact, id: undefined as never } : fact))
    return judged(all, {}, { ...more, sent: new Map([['1', sent]]) })
  }

  it('where it refused that, or its client passed it on no more', () => {
    expect(alone([...refused, left])).toMatchObject({ faults: [], tally: { [row]: 1, lost: 0 } })
    expect(alone([...refused, ...refused, left])).toMatchObject({ faults: [], tally: { [row]: 1, lost: 0 } })
    expect(alone([left])).toMatchObject({ faults: [], tally: { [row]: 1, lost: 0 } })
  })

  it.each<[string, ReturnType<typeof judged>]>([
    ['where it took that and said nothing', alone([{ fact: 'got' }, left])],
    ['where it took a copy of that and said nothing', alone([...refused, { fact: 'got' }, left])],
    ['where it began that', alone([{ fact: 'got' }, { fact: 'began', attempt: 1 }, left])],
    ['where it did not leave', alone(refused)],
    ['where it left long after', alone([...refused, { ...left, at: 4_001 }])],
    ['where another one lived', alone([...refused, left], true, {})],
    ['in a run that kills nobody who alone has events', alone([...refused, left], false)],
  ])('but not %s', (_, { tally, faults }) => {
    expect(tally).toMatchObject({ [row]: 0, lost: 1 })
    expect(faults).toContain('lost')
  })
})

describe('the chaos run excuses a second run', () => {
  const [kill, freeze, still] = [
    'second runs after a kill',
    'second runs after a freeze',
    'second runs on a machine that stood still',
  ] as const
  const outage = 'second runs as the store was out' as const
  /** The owner `p2` goes on without the store, and finds afterwards that `p1` had claimed it. */
  const storeWasOut: Partial<Fact>[] = [
    { fact: 'said', by: 'p2', at: 2_900, why: 'The store of the claims does not answer: no answer within 500 ms' },
    {
      fact: 'repeated',
      by: 'p2',
      at: 3_400,
      why: 'the store was out when it came, and another process had claimed it',
    },
  ]
  /** A version of `p1`, which had begun with it before, begins it after that of `p2`. */
  const lateVersion: Partial<Fact>[] = [
    { fact: 'taken', at: 1_100 },
    { fact: 'taken', by: 'p2', at: 2_950 },
    ...twice().slice(1),
    { fact: 'began', by: worker, at: 3_500, attempt: 1 },
  ]

  it.each<[string, keyof Tally, Partial<Fact>[], Partial<Evidence>]>([
    ['of one that was killed', kill, twice(), struck('p1', { how: 'ended', at: 1_150 })],
    ['of a version whose owner was killed', kill, twice(worker), struck('p1', { how: 'ended', at: 1_150 })],
    ['of one that was frozen for a lease', freeze, twice(), struck('p1', { how: 'frozen', at: 1_150, untilAt: 2_150 })],
    ['of one that was frozen for less, and counted out', freeze, [...twice(), { fact: 'out', at: 3_200 }], struck('p1', { how: 'frozen', at: 1_150, untilAt: 2_000 })], // prettier-ignore
    ['of a version that was frozen until its owner took it for dead', freeze, twice(worker, 'it gave no sign of life for 1000 ms'), struck(worker, { how: 'frozen', at: 1_150, untilAt: 2_000 })], // prettier-ignore
    ['of one that was counted out although nothing had been done to it', still, [...twice(), { fact: 'out', at: 3_200 }], {}], // prettier-ignore
    ['of one that began first and whose version ran last', freeze, lateVersion, struck('p1', { how: 'frozen', at: 1_150, untilAt: 3_450 })], // prettier-ignore
    ['that the owner has told of, as the store was out', outage, [...twice().filter(({ fact }) => fact !== 'repeated'), ...storeWasOut], {}], // prettier-ignore
    ['of a version that was too slow for its owner', still, twice(worker, 'it gave no sign of life for 1000 ms'), {}],
  ])('%s', (_, row, facts, more) => {
    const { tally, faults } = judged(facts, answered, more)
    expect(faults).toEqual([])
    const rows = Object.fromEntries([kill, freeze, still, outage].map((name) => [name, tally[name]]))
    expect(rows).toEqual({ [kill]: 0, [freeze]: 0, [still]: 0, [outage]: 0, [row]: 1 })
  })

  it.each<[string, Partial<Fact>[], Partial<Evidence>]>([
    ['of one to which nothing was done', twice(), {}],
    ['of one that was frozen for less than a lease, and not counted out', twice(), struck('p1', { how: 'frozen', at: 1_150, untilAt: 2_000 })], // prettier-ignore
    ['of one that had been frozen before it began', twice(), struck('p1', { how: 'frozen', at: 0, untilAt: 1_050 })],
    ['of one that had been counted out before it began', [{ fact: 'out', at: 1_050 }, ...twice()], {}],
    ['of one that was killed afterwards', twice(), struck('p1', { how: 'ended', at: 3_050 })],
    ['of an outage that nobody has seen', [...twice(), ...storeWasOut.slice(1)], {}],
    ['of a version whose sister was killed', twice(worker), struck('p1/v1/4710', { how: 'ended', at: 1_150 })],
  ])('but not %s', (_, facts, more) => {
    const { faults } = judged(facts, answered, more)
    expect(faults).toEqual([expect.stringMatching(/^ran on p2 although nothing had befallen p1/)])
  })
})
