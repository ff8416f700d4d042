import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest'
import { describeSqlite } from '../../storage-adapter/src/test-support/sqlite-describe.js'
import { FlagsProcess, killAllProcesses, until, type ProcessView } from './test-support/flags-process.js'

const why = 'a test'
/** Longer than anything takes on a busy machine. */
const timeout = 120_000

afterAll(killAllProcesses)

describeSqlite('flags on a SQLite database with a copy in files', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-flags-'))
  })
  afterEach(async () => {
    await killAllProcesses()
    await rm(directory, { recursive: true })
  })

  const urlOf = (writers: 'one' | 'many', cut = ''): string => `failover:${directory}?writers=${writers}${cut}`

  /** What the database itself holds, read by a process that has no copy of it. */
  async function inDatabase(): Promise<{ epoch: number; overrides: string[] }> {
    const storage = new SqliteStorage({ path: join(directory, 'bot.db') })
    const kept = storage.collection<{ epoch: number }>('evenkeel')
    const overrides: string[] = []
    for await (const { key } of kept.scan({ prefix: 'flags/override/' }))
      overrides.push(key.split('/').at(-1) as string)
    const epoch = (await kept.get('flags/state'))?.epoch ?? 0
    await storage.stop()
    return { epoch, overrides: overrides.sort() }
  }

  async function isLive(flags: FlagsProcess): Promise<ProcessView> {
    await until(async () => (await flags.look()).feed === 'live', 'the flags to be live')
    return flags.look()
  }

  /** Some changes are refused while the storage finds out that its database is gone; they are asked for again. */
  async function keep(change: () => Promise<unknown>): Promise<void> {
    const isKept = (): Promise<boolean> => change().then(...([() => true, () => false] as const))
    await until(isKept, 'a change to be kept')
  }

  it.each([
    ['killed, and started again before the database is back', true, '&cut'],
    ['killed, and started again when it is back', true, ''],
    ['left alone', false, ''],
  ])('lose nothing that was changed in an outage, the one process being %s', { timeout }, async (_, isKilled, cut) => {
    const epochs: number[] = []
    const note = async (flags: FlagsProcess): Promise<ProcessView> => {
      const view = await isLive(flags)
      epochs.push(view.epoch)
      return view
    }
    let flags = await FlagsProcess.start(urlOf('one'))
    await flags.change('override', 'digest', { guildId: 'before' }, true, { why })
    const before = await note(flags)

    await flags.wayIs('cut')
    await keep(() => flags.change('disable', 'search', { why: 'it is broken' }))
    for (let i = 1; i <= 20; i++) {
      await keep(() => flags.change('override', 'digest', { guildId: `outage${i}` }, i % 2 === 0, { why }))
    }
    await keep(() => flags.change('removeOverride', 'digest', { guildId: 'before' }, { why }))
    const outage = await flags.look()
    epochs.push(outage.epoch)
    expect(outage.feed).toBe('stale')
    expect(outage.epoch).toBeGreaterThan(before.epoch)
    expect(outage.flags).toMatchObject({ search: { state: 'disabled' }, digest: { guildOverrides: 20 } })

    if (isKilled) {
      flags.kill('SIGKILL')
      await flags.ended
      flags = await FlagsProcess.start(urlOf('one', cut))
      const again = cut === '' ? await note(flags) : await flags.look()
      epochs.push(again.epoch)
      expect(again).toMatchObject({ flags: outage.flags, answers: outage.answers })
    }
    await flags.wayIs('mend')
    await flags.change('override', 'digest', { guildId: 'after' }, true, { why })
    const all = ['after', ...Array.from({ length: 20 }, (_each, i) => `outage${i + 1}`)].sort()
    const { epoch } = await note(flags)
    await until(async () => (await inDatabase()).epoch === epoch, 'the database to have everything')
    expect((await inDatabase()).overrides).toEqual(all)
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
    // One that starts when the database is back may have replayed everything before its flags look.
    expect(isKilled && cut === '' ? ['', 'stale,live'] : ['stale,live']).toContain((await flags.toldOfFeed()).join())
    await flags.stop()
  })

  it(
    'know in an outage what was changed before it, where others write as well, and say that they are stale',
    { timeout },
    async () => {
      const flags = await FlagsProcess.start(urlOf('many'))
      const other = await FlagsProcess.start(`sqlite:${join(directory, 'bot.db')}`)
      await other.change('disable', 'search', { why: 'it is broken' })
      await other.change('override', 'digest', { guildId: 'before' }, true, { why })
      await until(async () => (await flags.look()).flags['digest']?.guildOverrides === 1, 'the override to be seen')
      const seenMs = performance.now()
      const isCopied = async (): Promise<boolean> => ((await flags.lagMs()) ?? Infinity) < performance.now() - seenMs
      await until(isCopied, 'the copy to have it')
      await flags.wayIs('cut')
      await until(async () => (await flags.look()).feed === 'stale', 'the flags to be stale')
      const { epoch } = await flags.look()
      await expect(flags.change('disable', 'theme', { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
      await other.change('override', 'digest', { guildId: 'meanwhile' }, true, { why })

      flags.kill('SIGKILL')
      await flags.ended
      const again = await FlagsProcess.start(urlOf('many', '&cut'))
      expect(await again.look()).toMatchObject({
        feed: 'stale',
        epoch,
        // What was refused is gone with the process; what was acknowledged is in the copy.
        flags: { search: { state: 'disabled' }, theme: { state: 'blocked' }, digest: { guildOverrides: 1 } },
      })
      await again.wayIs('mend')
      await until(async () => (await again.look()).flags['digest']?.guildOverrides === 2, 'what was set meanwhile')
      await isLive(again)
      await until(async () => isDeepStrictEqual(await again.look(), await other.look()), 'both to agree')
      await again.stop()
      await other.stop()
    },
  )
})
