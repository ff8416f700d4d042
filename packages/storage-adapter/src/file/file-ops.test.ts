import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { nodeFiles } from './file-ops.js'

it.each([
  ['d', ['.']],
  ['data', ['.']],
  ['data/deep', ['data', '.']],
  ['./d', ['.']],
])('a directory %j is made durable up to what was there before', async (path, expected) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'evenkeel-files-')))
  const before = process.cwd()
  process.chdir(folder)
  onTestFinished(() => {
    process.chdir(before)
    rmSync(folder, { recursive: true })
  })
  const synced: string[] = []
  const files = {
    ...nodeFiles,
    syncDirectory: async (each: string) => {
      synced.push(each)
      if (synced.length > 10) throw new Error('it goes on for ever')
    },
  }
  await files.makeDirectory(path)
  expect(synced).toEqual(expected.map((each) => join(folder, each)))
  await files.makeDirectory(path)
  expect(synced).toHaveLength(expected.length)
})
