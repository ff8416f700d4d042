import { describe, expect, it } from 'vitest'
import type { JobStore } from '../jobs.js'
import { alone, note, storage, wired } from '../test-support/lone-job.js'

describe('a run', () => {
  it('has run when its commit was applied without an answer, by a store that is then out', async () => {
    const caught: unknown[] = []
    const { wire, options } = wired()
    const bot = await alone(async ({ commit }) => {
      await commit([note('unanswered')]).catch(async (error: unknown) => {
        caught.push(error)
        await commit([note('unanswered')]).catch((again: unknown) => caught.push(again))
        throw error
      })
    }, { effects: 'stored' }, options) // prettier-ignore
    wire.batch = async (operations) => {
      await wire.apply(operations)
      wire.isDown = true
      throw new Error('the connection was lost')
    }
    await bot.clock.advance(62_000)
    expect(bot.told).toEqual([])
    wire.isDown = false
    await bot.clock.advance(10_000)
    expect(caught).toEqual([
      expect.objectContaining({ code: 'STORE_UNAVAILABLE', applied: 'unknown' }),
      expect.objectContaining({ message: expect.stringContaining('may have written') as unknown }),
    ])
    expect(bot.told.filter((line) => !line.startsWith('store'))).toEqual(['ran: it has ended well'])
    expect(await storage.collection('notes').get('unanswered')).toBe('tea')
    await bot.jobs.stop()
  })

  it.each([true, false])(
    'has run when its commit was applied after its deadline (store out then: %s)',
    async (isOut) => {
      const { wire, options } = wired()
      const caught: unknown[] = []
      const key = `late, ${isOut}`
      const bot = await alone(async ({ commit }) => {
      await commit([note(key)]).catch(async (error: unknown) => {
        caught.push(error)
        // The job does a little before it rejects, and the batch lands.
        await new Promise<void>((resolve) => bot.clock.after(500, resolve))
        throw error
      })
    }, { effects: 'stored' }, options) // prettier-ignore
      let land!: () => Promise<unknown>
      wire.batch = (operations) => {
        land = () => wire.apply(operations)
        return new Promise(() => undefined)
      }
      await bot.clock.advance(61_000)
      wire.isDown = isOut
      await bot.clock.advance(1_200)
      await land()
      wire.isDown = false
      await bot.clock.advance(5_000)
      expect(caught).toEqual([expect.objectContaining({ code: 'STORE_UNAVAILABLE', applied: 'unknown' })])
      expect(bot.told.filter((line) => !line.startsWith('store'))).toEqual(['ran: it has ended well'])
      await bot.jobs.stop()
    },
  )

  /** Another process, which owns the bot by now, has found the run ended, and begun the one after it. */
  async function beginTheNextElsewhere(key: string): Promise<void> {
    const store = storage.collection('evenkeel')
    const record = (await store.get(key)) as { run: { scheduledAt: number } }
    const next = { id: 'another', by: 'another', state: 'running', scheduledAt: record.run.scheduledAt + 60_000 }
    await store.set(key, { ...record, run: { ...record.run, ...next } })
  }

  it('has run when its commit was applied without an answer, and the next one is begun elsewhere', async () => {
    const { wire, options } = wired()
    const bot = await alone(({ commit }) => commit([note('next')]), { effects: 'stored' }, options)
    wire.batch = async (operations) => {
      await wire.apply(operations)
      await beginTheNextElsewhere(bot.key)
      throw new Error('the connection was lost')
    }
    await bot.clock.advance(62_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
  })

  it('is lost when its commit was refused, and the next one is begun elsewhere', async () => {
    const errors: unknown[] = []
    const bot = await alone(async ({ commit }) => {
      await beginTheNextElsewhere(bot.key)
      await commit([note('refused')])
    }, { effects: 'stored' }) // prettier-ignore
    bot.jobs.on('failed', ({ error }) => errors.push(error))
    await bot.clock.advance(62_000)
    expect(errors).toEqual([expect.objectContaining({ code: 'JOB_LOST' })])
    expect(await storage.collection('notes').get('refused')).toBeUndefined()
  })

  it('has run when its end was written without an answer, and the next one is begun elsewhere', async () => {
    const { options } = wired()
    const { store } = options
    const deaf: JobStore = {
      ...store,
      compareAndSet: async (key, expected, value) => {
        const written = await store.compareAndSet(key, expected, value)
        if ((value as { run?: { state: string } | null }).run?.state !== 'done') return written
        await beginTheNextElsewhere(key)
        throw new Error('the connection was lost')
      },
    }
    const bot = await alone(() => undefined, {}, { ...options, store: deaf })
    await bot.clock.advance(65_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
  })
})
