import { MemoryStorage } from '@evenkeel/storage-adapter'
import { describe, expect, it } from 'vitest'
import { Jobs, type JobRun } from '../jobs.js'
import { Fleet } from '../test-support/fleet.js'
import { everyMinute, startAt } from '../test-support/job-fleet.js'
import { alone, newName, note, storage, wired } from '../test-support/lone-job.js'

describe('a run', () => {
  it('commits its effects and its end in one batch', async () => {
    const notes = storage.collection('notes')
    const seen: JobRun[] = []
    const bot = await alone(async (run) => {
      seen.push(run)
      await run.commit([{ type: 'set', collection: 'notes', key: run.runId, value: 'tea' }])
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(60_000)
    const runId = `${bot.name}:digest:${startAt + 60_000}`
    expect(seen.map(({ signal: _, commit: _c, fence: _f, ...run }) => run)).toEqual([
      {
        job: 'digest',
        runId,
        scheduledAt: startAt + 60_000,
        attempt: 1,
        epoch: bot.process.restart.status.epoch,
        version: 'v1',
      },
    ])
    expect(await notes.get(runId)).toBe('tea')
    expect(bot.told).toEqual(['ran: it has ended well'])
    await bot.clock.advance(60_000)
    expect(seen.length).toBe(2)
    await expect(seen[0]?.commit([])).rejects.toThrow('commit() was called before, and has written')
    await bot.jobs.stop()
  })

  it('that commits twice fails, for the second commit writes nothing', async () => {
    const bot = await alone(async ({ commit }) => {
      await commit([note('twice: first')])
      await commit([note('twice: second')])
    }, { effects: 'stored' }) // prettier-ignore
    const errors: unknown[] = []
    bot.jobs.on('failed', ({ error }) => errors.push(error))
    await bot.clock.advance(60_000)
    expect(bot.told).toEqual([expect.stringMatching(/^failed: commit\(\) was called before, and has written.*in one call, last/)]) // prettier-ignore
    expect(errors).toEqual([expect.any(TypeError)])
    expect(await storage.collection('notes').get('twice: first')).toBe('tea')
    expect(await storage.collection('notes').get('twice: second')).toBeUndefined()
    await bot.jobs.stop()
  })

  it('that commits twice at once is told which of both was written', async () => {
    const bot = await alone(async ({ commit }) => {
      const both = ['at once: first', 'at once: second'].map((key) => commit([note(key)]))
      outcomes.push(...(await Promise.allSettled(both)))
    }, { effects: 'stored' }) // prettier-ignore
    const outcomes: PromiseSettledResult<void>[] = []
    await bot.clock.advance(60_000)
    expect(outcomes).toEqual([
      { status: 'fulfilled', value: undefined },
      { status: 'rejected', reason: expect.any(TypeError) as unknown },
    ])
    expect(await storage.collection('notes').get('at once: first')).toBe('tea')
    expect(await storage.collection('notes').get('at once: second')).toBeUndefined()
    await bot.jobs.stop()
  })

  it('can commit nothing after its end', async () => {
    let commit!: JobRun['commit']
    const bot = await alone((run) => void (commit = run.commit), { effects: 'stored' })
    await bot.clock.advance(60_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
    await expect(commit([note('too late')])).rejects.toThrow('commit() was called after the run had ended')
    expect(await storage.collection('notes').get('too late')).toBeUndefined()
    await bot.jobs.stop()
  })

  it('waits for a commit that was not awaited, and has failed when that has', async () => {
    const { wire, options } = wired()
    const bot = await alone(({ commit }) => void commit([note('not awaited')]), { effects: 'stored' }, options)
    wire.batch = async (operations) => {
      await new Promise<void>((resolve) => bot.clock.after(1_000, resolve))
      return wire.apply(operations)
    }
    await bot.clock.advance(62_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
    expect(await storage.collection('notes').get('not awaited')).toBe('tea')
    wire.batch = () => Promise.reject(Object.assign(new Error('read-only'), { applied: 'no' }))
    await bot.clock.advance(60_000)
    expect(bot.told.slice(1)).toEqual(['failed: read-only'])
    await bot.jobs.stop()
  })

  it('may commit again what is known not to be written', async () => {
    const bot = await alone(async ({ commit }) => {
      const condition = { type: 'check', collection: 'notes', key: 'absent', ifVersion: 'none' } as const
      await commit([note('again'), condition]).catch(() => commit([note('again')]))
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(60_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
    expect(await storage.collection('notes').get('again')).toBe('tea')
    await bot.jobs.stop()
  })

  it('has run when it goes on after its commit, while the next owner begins the next one', async () => {
    const fleet = new Fleet()
    const name = newName()
    const told: string[] = []
    const aborted: boolean[] = []
    const begin = async (): Promise<void> => {
      const process = fleet.process()
      const run = async ({ runId, signal, commit }: JobRun): Promise<void> => {
        await commit([note(runId)])
        await new Promise<void>((resolve) => fleet.clock.after(70_000, resolve))
        aborted.push(signal.aborted)
      }
      const jobs = new Jobs({ jobs: { digest: { ...everyMinute, effects: 'stored', run } }, owner: process.restart, store: storage.collection('evenkeel'), storage, name, scope: 'process', clock: process.clock }) // prettier-ignore
      for (const event of ['ran', 'failed'] as const) jobs.on(event, ({ to, why }) => told.push(`${process.version} ${to}: ${why}`)) // prettier-ignore
      await process.restart.start()
      process.isLoggedIn = true
      await jobs.start()
      await process.restart.takeOver()
    }
    await begin()
    await fleet.clock.advance(65_000)
    void begin()
    await fleet.clock.advance(70_000)
    expect(told).toEqual(['v1 ran: it has ended well'])
    expect(aborted).toEqual([false])
    expect(await storage.collection('notes').has(`${name}:digest:${startAt + 120_000}`)).toBe(true)
  })

  it('that has committed and then rejects is told as failed, and does not run again', async () => {
    let runs = 0
    const bot = await alone(async ({ commit }) => {
      runs += 1
      await commit([note('committed')])
      throw new Error('no network')
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(90_000)
    expect([runs, bot.told]).toEqual([1, ['failed: no network']])
    await bot.jobs.stop()
  })

  it('has an id that no run of another bot in the same storage has', async () => {
    const fleet = new Fleet()
    const process = fleet.process()
    await process.restart.start()
    // The last two are one when they are only joined by colons.
    const bots = [
      ['bot-a', 'digest'],
      ['bot-b', 'digest'],
      ['bot:x', 'tea'],
      ['bot', 'x:tea'],
      ['bot%3Ax', 'tea'],
    ] as const
    const shared = new MemoryStorage()
    const all = bots.map(([name, job]) => {
      const run = async ({ runId, commit }: JobRun): Promise<void> => {
        await commit([{ type: 'set', collection: 'digests', key: runId, value: name }])
      }
      return new Jobs({
        jobs: { [job]: { everyMs: 60_000, effects: 'stored', run } },
        owner: process.restart,
        store: shared.collection('evenkeel'),
        storage: shared,
        name,
        scope: 'process',
        clock: process.clock,
      })
    })
    await Promise.all(all.map((jobs) => jobs.start()))
    await fleet.clock.advance(60_000)
    const effects: [string, unknown][] = []
    for await (const { key, value } of shared.collection('digests').scan()) effects.push([key, value])
    const at = startAt + 60_000
    expect(effects.sort()).toEqual([
      [`bot%253Ax:tea:${at}`, 'bot%3Ax'],
      [`bot%3Ax:tea:${at}`, 'bot:x'],
      [`bot-a:digest:${at}`, 'bot-a'],
      [`bot-b:digest:${at}`, 'bot-b'],
      [`bot:x%3Atea:${at}`, 'bot'],
    ])
    await Promise.all(all.map((jobs) => jobs.stop()))
  })

  it('commits nothing when another process has begun it meanwhile', async () => {
    const caught: unknown[] = []
    const bot = await alone(async ({ commit, fence }) => {
      const check = fence()
      const store = storage.collection('evenkeel')
      const found = await store.entry(bot.key)
      const value = found?.value as { run: { id: string } }
      await store.set(bot.key, { ...value, run: { ...value.run, id: 'another', by: 'another' } })
      await commit([{ type: 'set', collection: 'notes', key: 'never', value: 1 }]).catch((error: unknown) => caught.push(error)) // prettier-ignore
      await storage.batch([check as never]).catch((error: unknown) => caught.push(error))
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(60_000)
    expect(caught).toEqual([
      expect.objectContaining({ code: 'JOB_LOST', runId: `${bot.name}:digest:${startAt + 60_000}` }),
      expect.objectContaining({ code: 'STORAGE_CONFLICT' }),
    ])
    expect(await storage.collection('notes').get('never')).toBeUndefined()
    expect(bot.told).toEqual([expect.stringContaining(`failed: Run ${bot.name}:digest:`)])
    await bot.jobs.stop()
  })

  it('tells what a batch of its own was refused for', async () => {
    const bot = await alone(async ({ commit }) => {
      await commit([{ type: 'check', collection: 'notes', key: 'absent', ifVersion: 'none' }])
    }, { effects: 'stored' }) // prettier-ignore
    const errors: unknown[] = []
    bot.jobs.on('failed', ({ error }) => errors.push(error))
    await bot.clock.advance(60_000)
    expect(errors).toEqual([expect.objectContaining({ code: 'STORAGE_CONFLICT' })])
    await bot.jobs.stop()
  })
})
