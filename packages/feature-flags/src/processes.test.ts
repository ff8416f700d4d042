import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  describePostgres,
  newSchema,
  postgresUrl,
  removeSchemas,
} from '../../storage-adapter/src/test-support/postgres-describe.js'
import { describeRedis, freshPrefix, redisUrl } from '../../storage-adapter/src/test-support/redis-describe.js'
import { describeSqlite } from '../../storage-adapter/src/test-support/sqlite-describe.js'
import { CutProxy } from './test-support/cut-proxy.js'
import { agreement, FlagsProcess, killAllProcesses, until, type ProcessView } from './test-support/flags-process.js'

const why = 'a test'
/** Longer than anything takes on a busy machine. */
const timeout = 120_000

afterAll(killAllProcesses)
afterAll(removeSchemas)

/** What holds of four processes over any store: they are told things one after another, and agree after each. */
function tellTheStory(urlOf: () => string): void {
  let processes: [FlagsProcess, FlagsProcess, FlagsProcess, FlagsProcess]

  beforeAll(async () => {
    const start = (): Promise<FlagsProcess> => FlagsProcess.start(urlOf())
    processes = [await start(), ...(await Promise.all([start(), start(), start()]))]
  }, timeout)
  afterAll(() => Promise.all(processes.map((each) => each.stop())), timeout)

  it('sees every change of every process', { timeout }, async () => {
    const [a, b, c, d] = processes
    let { epoch, answers } = await agreement(processes)
    const steps: [() => Promise<unknown>, object][] = [
      [() => a.change('setPercentage', 'search', 70, { why }), { search: { percentage: 70 } }],
      [() => b.change('override', 'search', { guildId: '1' }, true, { why }), { search: { guildOverrides: 1 } }],
      [() => c.change('disable', 'theme', { why }), { theme: { state: 'disabled' } }],
      [() => d.change('enable', 'theme', { why }), { theme: { state: 'active' } }],
      [() => a.change('disableAll', { why }), { search: { state: 'all-off' }, digest: { state: 'all-off' } }],
      [() => b.change('enableAll', { why }), { search: { state: 'active' }, digest: { state: 'active' } }],
      [
        () => c.change('setShare', 'digest', { percentage: 80, targetGuilds: ['5'], sequence: 7 }, { why }),
        { digest: { percentage: 80, sequence: 7 } },
      ],
      [() => d.change('removeOverride', 'search', { guildId: '1' }, { why }), { search: { guildOverrides: 0 } }],
      [
        () => a.change('disable', 'search', { why }),
        { search: { state: 'disabled' }, suggestions: { state: 'blocked' } },
      ],
      [() => c.change('enable', 'search', { why }), { suggestions: { state: 'active' } }],
    ]
    for (const [change, expected] of steps) {
      await change()
      await until(async () => (await agreement(processes)).epoch > epoch, 'the epoch to grow')
      const view = await agreement(processes)
      expect(view.flags).toMatchObject(expected)
      // An override of a guild that is not among the 1,000 is the only change that no answer shows.
      if (!JSON.stringify(expected).includes('guildOverrides')) expect(view.answers).not.toBe(answers)
      ;({ epoch, answers } = view)
    }
    expect(epoch).toBe(steps.length)
    await expect(
      d.change('setShare', 'digest', { percentage: 1, targetGuilds: [], sequence: 7 }, { why }),
    ).resolves.toBe(false)
  })

  it('has everything in a process that starts later', { timeout }, async () => {
    const before = await agreement(processes)
    const late = await FlagsProcess.start(urlOf())
    expect(await late.look()).toEqual(before)
    await late.change('setPercentage', 'digest', 33, { why })
    expect((await agreement([...processes, late])).flags['digest']).toMatchObject({ percentage: 33 })
    await late.stop()
    expect((await agreement(processes)).flags['digest']).toMatchObject({ percentage: 33 })
  })

  it('loses nothing that two processes change at once', { timeout }, async () => {
    const { epoch, flags } = await agreement(processes)
    const [a, b, c] = processes
    const times = Array.from({ length: 40 }, (_, i) => i)
    await Promise.all(
      times.flatMap((i) => [
        a.change('override', 'search', { guildId: `a${i}` }, true, { why }),
        b.change('override', 'search', { guildId: `b${i}` }, false, { why }),
        a.change('override', 'theme', { userId: `a${i}` }, 'cards', { why }),
        b.change('setPercentage', 'digest', 40 + (i % 2), { why }),
        c.change('setShare', 'search', { percentage: i, targetGuilds: [], sequence: i + 1 }, { why }),
      ]),
    )
    const after = await agreement(processes)
    expect(after.flags['search']).toMatchObject({
      guildOverrides: (flags['search']?.guildOverrides ?? 0) + 80,
      sequence: 40,
      percentage: 39,
    })
    expect(after.flags['digest']).toMatchObject({ percentage: 41 })
    // Each change counts, whoever made it: none was stored in the place of another. Overrides that are stored together
    // count as one.
    expect(after.epoch).toBeGreaterThan(epoch + 2 * times.length)
  })

  it('is harmed by no process that is killed in the middle of its changes', { timeout }, async () => {
    const { flags } = await agreement(processes)
    const overrides = flags['theme']?.guildOverrides ?? 0
    let stored = 0
    for (const at of [3, 11, 24]) {
      const doomed = await FlagsProcess.start(urlOf())
      doomed.churn(`doomed${at}`)
      await doomed.hasStored(at)
      doomed.kill('SIGKILL')
      await doomed.ended
      stored += doomed.stored
      await processes[0].change('setPercentage', 'digest', at, { why })
      const view = await agreement(processes)
      expect(view.flags['digest']).toMatchObject({ percentage: at })
      // What it said was stored is there; what it was about to say may be.
      expect(view.flags['theme']?.guildOverrides).toBeGreaterThanOrEqual(overrides + stored)
    }
    expect(await readStore(urlOf())).toEqual(await agreement(processes))
  })

  it('is caught up with by a process that stood still', { timeout }, async () => {
    const [a, b, still, d] = processes
    await agreement(processes)
    still.kill('SIGSTOP')
    const others = [a, b, d]
    await a.change('disable', 'suggestions', { why })
    await b.change('setShare', 'search', { percentage: 90, targetGuilds: ['1'], sequence: 99 }, { why })
    for (let i = 0; i < 50; i++) await d.change('override', 'digest', { guildId: `still${i}` }, true, { why })
    await d.change('removeOverride', 'digest', { guildId: 'still0' }, { why })
    // Longer than it looks after the store, and than it waits for it.
    await sleep(2_000)
    const before = await agreement(others)
    still.kill('SIGCONT')
    const after = await agreement(processes)
    expect(after).toEqual(before)
    expect(after.flags).toMatchObject({
      suggestions: { state: 'disabled' },
      search: { percentage: 90, sequence: 99 },
      digest: { guildOverrides: 49 },
    })
    await still.change('enable', 'suggestions', { why })
    expect((await agreement(processes)).flags['suggestions']).toMatchObject({ state: 'active' })
  })

  it(
    'ends with one epoch and the same answers in all of them, and in one that starts only now',
    { timeout },
    async () => {
      const last = await agreement(processes)
      expect(await readStore(urlOf())).toEqual(last)
    },
  )
}

/** What is stored and nothing else: a process that has seen none of what led to it. */
async function readStore(url: string): Promise<ProcessView> {
  const fresh = await FlagsProcess.start(url)
  const view = await fresh.look()
  await fresh.stop()
  return view
}

/** What holds while some of the processes cannot reach a server, and afterwards. */
function tellOfOutages(urlOf: () => string, defaultPort: number): void {
  it('answers on while the server is out of reach, and agrees when it is back', { timeout }, async () => {
    const proxy = await CutProxy.to(urlOf(), defaultPort)
    const near = await FlagsProcess.start(urlOf())
    const far = [await FlagsProcess.start(proxy.url), await FlagsProcess.start(proxy.url)] as const
    const all = [near, ...far]
    await near.change('setPercentage', 'search', 30, { why })
    const before = await agreement(all)
    const overrides = before.flags['digest']?.guildOverrides ?? 0

    await proxy.cut()
    await until(
      async () => (await Promise.all(far.map((each) => each.look()))).every(({ feed }) => feed === 'stale'),
      'stale',
    )
    expect((await far[0].look()).answers).toBe(before.answers)
    await expect(far[0].change('disable', 'theme', { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
    await expect(far[1].change('setPercentage', 'search', 1, { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
    await expect(far[1].change('override', 'digest', { guildId: '1' }, true, { why })).rejects.toMatchObject({
      code: 'FLAG_STORE',
    })
    await near.change('setPercentage', 'search', 60, { why })
    await near.change('disable', 'digest', { why })
    expect((await far[0].look()).flags).toMatchObject({ theme: { state: 'disabled' }, digest: { state: 'active' } })
    expect((await near.look()).flags).toMatchObject({ theme: { state: 'active' }, digest: { state: 'disabled' } })

    await proxy.mend()
    await until(async () => (await near.look()).flags['theme']?.state === 'disabled', 'the late switch-off')
    await until(async () => (await near.look()).flags['digest']?.guildOverrides === overrides + 1, 'the late override')
    // The override is seen before the epoch tells of it.
    const isSettled = async (): Promise<boolean> => isDeepStrictEqual(await readStore(urlOf()), await agreement(all))
    await until(isSettled, 'the store to say what all processes say')
    const after = await agreement(all)
    expect(after.flags).toMatchObject({
      // What was acknowledged meanwhile stands; what could not be stored did not come in its place.
      search: { percentage: 60 },
      theme: { state: 'disabled' },
      digest: { state: 'disabled', guildOverrides: overrides + 1 },
    })
    await Promise.all(all.map((each) => each.stop()))
    await proxy.cut()
  })

  it('notices connections that have died without a word', { timeout }, async () => {
    const proxy = await CutProxy.to(urlOf(), defaultPort)
    const near = await FlagsProcess.start(urlOf())
    const far = await FlagsProcess.start(proxy.url)
    await near.change('enable', 'digest', { why })
    await agreement([near, far])
    proxy.silence()
    await near.change('disableAll', { why })
    expect((await agreement([near, far])).flags['search']).toMatchObject({ state: 'all-off' })
    await far.change('enableAll', { why })
    expect((await agreement([near, far])).flags['search']).toMatchObject({ state: 'active' })
    await Promise.all([near.stop(), far.stop()])
    await proxy.cut()
  })
}

describeSqlite('four processes on one SQLite database', () => {
  let directory = ''
  const urlOf = (): string => `sqlite:${join(directory, 'bot.db')}`

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-flags-'))
  })
  afterAll(async () => {
    await rm(directory, { recursive: true })
  })

  tellTheStory(urlOf)

  it('leaves a database in which nothing is broken', async () => {
    const storage = new SqliteStorage({ path: join(directory, 'bot.db') })
    expect((await storage.check()).problems).toEqual([])
    await storage.stop()
  })
})

describePostgres('four processes on one PostgreSQL', () => {
  let url = ''
  const urlOf = (): string => url

  beforeAll(() => {
    url = withOption(postgresUrl, 'schema', newSchema())
  })

  tellTheStory(urlOf)
  describe('through a connection that breaks', () => tellOfOutages(urlOf, 5432))
})

describeRedis('four processes on one Redis', () => {
  let url = ''
  const urlOf = (): string => url

  beforeAll(() => {
    url = withOption(redisUrl, 'prefix', freshPrefix())
  })

  tellTheStory(urlOf)
  describe('through a connection that breaks', () => tellOfOutages(urlOf, 6379))
})

function withOption(url: string, name: string, value: string): string {
  const changed = new URL(url)
  changed.searchParams.set(name, value)
  return changed.href
}
