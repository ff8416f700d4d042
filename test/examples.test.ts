import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runFence } from '../scripts/readme/run.js'
import { root } from '../scripts/workspace.js'

// The sample bot and the stand-in have tests of their own.
const others = new Set(['sample-bot', 'discord-standin'])
const found = await readdir(join(root, 'examples'), { withFileTypes: true })
const names = found.filter((each) => each.isDirectory() && !others.has(each.name)).map(({ name }) => name)

describe('the small examples', () => {
  it.each(names)('%s runs, and prints what its comments say', async (name) => {
    const file = `examples/${name}/src/main.ts`
    const code = await readFile(join(root, file), 'utf8')
    expect(await runFence({ file, line: 0, language: 'ts', code, marker: undefined })).toEqual([])
  })
})
