import { describe, expect, it } from 'vitest'
import { FakeClock } from '@evenkeel/testing'
import type { Mutation } from '../backend.js'
import { FileBackend } from '../file/file-backend.js'
import { LocalDoubts } from './local-doubts.js'
import type { JournaledBatch } from './local-journal.js'
import type { RecordMutation } from './record-mutation.js'
import { LocalStore } from './local-store.js'
import { foldChunk, takeChunk } from './replay-chunk.js'
import { CrashFiles } from '../test-support/crash-files.js'
import { Ticker } from './ticker.js'

function entry(sequence: number, key: string, version: string, base: string | null): JournaledBatch {
  const change = { type: 'set', collection: 'c', key, version, base, isDoubtful: false, json: '1' } as const
  return { sequence, id: String(sequence), at: 0, changes: [change] }
}

describe('a chunk of the journal', () => {
  it('judges the first and writes the last of what follows one another', () => {
    const entries = [entry(1, 'a', 'v1', null), entry(2, 'b', 'v2', 'b0'), entry(3, 'a', 'v3', 'v1')]
    expect(takeChunk(entries, 10)).toEqual(entries)
    expect(foldChunk(entries)).toMatchObject([
      { key: 'a', version: 'v3', expected: null },
      { key: 'b', version: 'v2', expected: 'b0' },
    ])
  })

  it('ends before what was made upon something else', () => {
    const entries = [entry(1, 'a', 'v1', null), entry(2, 'a', 'v2', 'theirs')]
    expect(takeChunk(entries, 10)).toEqual([entries[0]])
  })

  it('takes one batch at least, and no more changes than it may', () => {
    const entries = [entry(1, 'a', 'v1', null), entry(2, 'b', 'v2', null)]
    expect(takeChunk(entries, 0)).toEqual([entries[0]])
    expect(takeChunk(entries, 1)).toEqual([entries[0]])
    expect(takeChunk(entries, 2)).toEqual(entries)
  })
})

describe('doubts', () => {
  it('are not ended by what was found out before they came up again', () => {
    const doubts = new LocalDoubts()
    expect(doubts.add([{ collection: 'c', key: 'k' }]).added).toHaveLength(1)
    const taken = doubts.all
    expect(doubts.add([{ collection: 'c', key: 'k' }]).added).toHaveLength(0)
    doubts.remove(taken)
    expect(doubts.size).toBe(1)
    doubts.remove(doubts.all)
    expect(doubts.size).toBe(0)
  })
})

describe('the local store', () => {
  const put = (key: string): Mutation => {
    return {
      type: 'put',
      collection: 'c',
      key,
      json: '1',
      version: `v.${key}`,
      expiresAt: undefined,
      expected: undefined,
    }
  }

  async function open(files: CrashFiles): Promise<LocalStore> {
    const backend = new FileBackend({ path: '/local', compactBytes: 1e6, clock: new FakeClock(), files })
    const local = new LocalStore(backend)
    await local.open(() => undefined, 0)
    return local
  }

  it('remembers beyond a kill that a record in doubt may have been removed as well', async () => {
    const files = new CrashFiles()
    const local = await open(files)
    const remove = { type: 'delete', collection: 'c', key: 'k', version: 'v.2', expected: undefined } as const
    await local.doubt([put('k') as RecordMutation], 0)
    await local.doubt([remove], 0)
    files.reboot('kill')
    const again = await open(files)
    expect(again.doubts.mayRemove({ collection: 'c', key: 'k' })).toBe(true)
  })

  it.each<[string, (local: LocalStore) => Promise<void>]>([
    ['journal', (local) => local.journal([put('next')], 0)],
    ['copy', (local) => local.follow([put('next')], [], 0)],
  ])('tells the disk what the journal forgot with the next commit to the %s', async (where, commit) => {
    const files = new CrashFiles()
    const local = await open(files)
    for (const key of ['a', 'b', 'c']) await local.journal([put(key)], 0)
    local.forget(await local.entries(2, 0))
    expect(local.journalLength).toBe(1)
    await commit(local)
    files.reboot('power cut')
    const waiting = (await (await open(files)).entries(10, 0)).map(({ changes }) => changes[0]?.key)
    expect(waiting).toEqual(where === 'journal' ? ['c', 'next'] : ['c'])
  })

  it('finds a journal of several thousand batches again, in order, and gives no number twice', async () => {
    const files = new CrashFiles()
    const local = await open(files)
    await Promise.all(Array.from({ length: 2_500 }, (_, i) => local.journal([put(`k${i}`)], 0)))
    local.forget(await local.entries(1_200, 0))
    await local.writeForgotten(0)
    files.reboot('power cut')
    const again = await open(files)
    expect(again.journalLength).toBe(1_300)
    await again.journal([put('last')], 0)
    const sequences = (await again.entries(5_000, 0)).map(({ sequence }) => sequence)
    expect(sequences).toEqual(Array.from({ length: 1_301 }, (_, i) => 1_201 + i))
  })
})

describe('a ticker', () => {
  it('runs at the soonest time that was asked for, also while it runs, and never after it was stopped', async () => {
    const clock = new FakeClock()
    const ran: number[] = []
    const ticker = new Ticker(clock, async () => {
      ran.push(clock.monotonic())
      await new Promise<void>((resolve) => clock.after(10, resolve))
      return 100
    })
    ticker.within(1)
    await clock.advance(50)
    expect(ran).toEqual([])
    ticker.start()
    ticker.within(40)
    ticker.within(5)
    await clock.advance(6)
    ticker.within(20)
    await clock.advance(200)
    expect(ran).toEqual([55, 76, 186])
    const stopped = ticker.stop()
    await clock.advance(10)
    await stopped
    ticker.within(0)
    expect(clock.pending).toBe(0)
  })
})
