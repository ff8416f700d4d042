import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const fromPackage = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

let folder: string

beforeAll(async () => {
  // Within the package, so that it finds its dependencies.
  folder = await mkdtemp(fromPackage('node_modules/.live-build-'))
  await build({
    entry: { http: fromPackage('src/http.ts'), 'live-worker': fromPackage('src/live-worker.ts') },
    outDir: folder,
    config: false,
    format: ['esm', 'cjs'],
    target: 'node20',
    splitting: true,
    treeshake: true,
    outExtension: ({ format }) => ({ js: format === 'esm' ? '.mjs' : '.cjs' }),
    silent: true,
  })
})

afterAll(() => rm(folder, { recursive: true }))

/** Asks once, and then has nothing more to do. */
const PROGRAM = `
  const live = new LiveServer({ port: 0, host: '127.0.0.1' })
  live.start().then(async () => {
    const { status } = await fetch('http://127.0.0.1:' + live.port + '/live')
    console.log(status)
  })`

describe('a live server that was built', () => {
  it.each([
    ['ES modules', 'module', () => `import { LiveServer } from '${pathToFileURL(join(folder, 'http.mjs')).href}'`],
    ['CommonJS', 'commonjs', () => `const { LiveServer } = require(${JSON.stringify(join(folder, 'http.cjs'))})`],
  ])('as %s finds the program of its thread, and ends with the process', async (_, type, load) => {
    const { stdout } = await run(process.execPath, [`--input-type=${type}`, '--eval', `${load()}\n${PROGRAM}`])
    expect(stdout).toBe('200\n')
  })
})
