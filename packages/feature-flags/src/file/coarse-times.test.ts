import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock } from '@evenkeel/testing'
import { expect, it, vi } from 'vitest'
import { FlagFile } from './flag-file.js'
import { checkFlagFile } from './flag-file-options.js'
import { RecordingFeed, until } from '../test-support/recording-feed.js'

// A file system whose clock has not ticked since the file was read.
vi.mock(import('./read-text-file.js'), async (original) => {
  const real = await original()
  return {
    ...real,
    readTextFile: async (...parameters) => ({ ...(await real.readTextFile(...parameters)), signature: 'tick' }),
    signatureAt: async () => 'tick',
  }
})

it('finds by polling a write that came so soon after the reading that size and times are the same', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-coarse-'))
  const path = join(directory, 'flags.json')
  await writeFile(path, '{"flags": {"a": 1}}')
  const clock = new FakeClock()
  const feed = new RecordingFeed()
  const file = new FlagFile(checkFlagFile(path, { clock }), () => {
    throw new Error('nothing is watched here')
  })
  await file.start(feed)
  await writeFile(path, '{"flags": {"a": 2}}')
  await clock.advance(1_000)
  await until(() => feed.documents.length === 2)
  expect(feed.last).toEqual({ flags: { a: 2 } })
  await file.stop()
  await rm(directory, { recursive: true })
})
