import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as esbuild from 'esbuild'
import manifest from '../../package.json' with { type: 'json' }

/** A program that runs in a process of its own. */
export type ProgramFile =
  | 'blue-green/program'
  | `blue-green/${'switching' | 'wire'}/${string}`
  | 'flags/follower'
  | 'flags/program'
  | 'health/program'
  | 'health/server'
  | 'yielding/program'

/** Compiles a program, as `run.ts` does the whole. @returns its path */
export async function bundle(name: ProgramFile): Promise<string> {
  const folder = fileURLToPath(new URL('..', import.meta.url))
  const outfile = join(folder, 'dist', `${name.replaceAll('/', '-')}.mjs`)
  // By a variable, so that it is not bundled itself.
  const bundler = 'esbuild'
  const { build } = (await import(bundler)) as typeof esbuild
  const foreign = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
  await build({
    entryPoints: [join(folder, `src/${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['@evenkeel/source'],
    external: [...foreign.filter((each) => !each.startsWith('@evenkeel/')), 'yaml'],
  })
  return outfile
}
