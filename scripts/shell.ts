import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { root } from './workspace.js'

export interface Finished {
  /** `null` when a signal ended it. */
  readonly code: number | null
  readonly timedOut: boolean
  readonly stdout: string
  /** What went to stdout and stderr, as it came. */
  readonly output: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly timeoutMs?: number
  readonly onStart?: (child: ChildProcess) => void
}

/** Runs a program to its end and keeps what it printed. The exit code is the caller's to judge. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, FORCE_COLOR: '0', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let timedOut = false
    const kill = (): void => {
      timedOut = true
      child.kill('SIGKILL')
    }
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(kill, options.timeoutMs)
    let stdout = ''
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.on('error', reject)
    child.on('spawn', () => options.onStart?.(child))
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, timedOut, stdout, output })
    })
  })
}

/** Runs a TypeScript or CommonJS program that takes our packages from their sources, wherever it lies. */
export function runTypeScript(args: readonly string[], options?: RunOptions): Promise<Finished> {
  const prepared = ['--import', import.meta.resolve('tsx'), '--conditions=@evenkeel/source']
  return run(process.execPath, [...prepared, ...args], options)
}

/** Runs a tool of the workspace: `tool('eslint', ['.'])`. */
export function tool(name: string, args: readonly string[], options?: RunOptions): Promise<Finished> {
  return run(join(root, 'node_modules', '.bin', name), args, options)
}

/** Runs pnpm, however this script was started. */
export function pnpm(args: readonly string[], options?: RunOptions): Promise<Finished> {
  return run('npx', ['-y', 'pnpm@10', ...args], options)
}

/** The output of a program that failed, as one fault; none when it ended well. */
export function faultsOf({ code, output }: Finished): string[] {
  return code === 0 ? [] : [output.trim() || `ended with code ${code} and printed nothing`]
}

/** Maps with at most `width` at work at a time, and keeps the order. */
export async function inParallel<T, R>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  const queue = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: width }, worker))
  return results
}
