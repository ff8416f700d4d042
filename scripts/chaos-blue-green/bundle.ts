import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { root } from '../workspace.js'

/** The programs of the chaos run, each one file that starts several times faster than its sources. */
export interface Programs extends Disposable {
  readonly bot: string
  readonly owner: string
  readonly version: string
}

const programs = [
  new URL('../../test/children/chaos-bot.ts', import.meta.url),
  new URL('../../test/children/chaos-owner.ts', import.meta.url),
  new URL('../../test/children/chaos-version.ts', import.meta.url),
]
/** Drivers that discord.js and the storages can do without, or that are native. */
const external = ['zlib-sync', 'bufferutil', 'utf-8-validate', 'better-sqlite3', 'pg', 'pg-native', 'ioredis']

/** Translates the programs, within the packages that they need, so that they find what is installed there. */
export function bundlePrograms(): Programs {
  const directory = mkdtempSync(join(root, 'node_modules', '.chaos-'))
  buildSync({
    entryPoints: programs.map((program) => fileURLToPath(program)),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@evenkeel/source'],
    external,
    // discord.js is CommonJS, and asks for its modules as such.
    banner: {
      js: 'import * as nodeModule from "node:module"; const require = nodeModule.createRequire(import.meta.url);',
    },
    logLevel: 'error',
  })
  return {
    bot: join(directory, 'chaos-bot.mjs'),
    owner: join(directory, 'chaos-owner.mjs'),
    version: join(directory, 'chaos-version.mjs'),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}
