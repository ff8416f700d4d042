import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Starts one of the TypeScript programs beside this file. */
export function startChild(program: string, ...parameters: string[]): ChildProcess {
  const file = fileURLToPath(new URL(program, import.meta.url))
  return start(['--import', 'tsx', '--conditions=@evenkeel/source', file, ...parameters])
}

/** A program that starts several times faster, for those that are started very often. */
export interface Bundle extends AsyncDisposable {
  start(...parameters: string[]): ChildProcess
}

/** Translates one of the TypeScript programs beside this file. */
export async function bundleChild(program: string): Promise<Bundle> {
  // Within the package, so that it finds the drivers that are installed there.
  const directory = await mkdtemp(fileURLToPath(new URL('../../node_modules/.bundle-', import.meta.url)))
  const outfile = join(directory, 'child.mjs')
  await build({
    entryPoints: [fileURLToPath(new URL(program, import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@evenkeel/source'],
    external: ['better-sqlite3', 'node:*'],
    logLevel: 'error',
  })
  return {
    start: (...parameters) => start([outfile, ...parameters]),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
}

function start(parameters: readonly string[]): ChildProcess {
  // Node 22 calls its own SQLite experimental, on the standard error that tests look at.
  const node = ['--disable-warning=ExperimentalWarning', ...parameters]
  return spawn(process.execPath, node, { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What a child wrote, when it has ended. */
export async function outputOf(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr }
}
