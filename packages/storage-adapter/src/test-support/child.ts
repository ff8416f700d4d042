import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Starts one of the TypeScript programs beside this file. */
export function startChild(program: string, ...parameters: string[]): ChildProcess {
  const file = fileURLToPath(new URL(program, import.meta.url))
  // Node 22 calls its own SQLite experimental, on the standard error that tests look at.
  const node = [
    '--disable-warning=ExperimentalWarning',
    '--import',
    'tsx',
    '--conditions=@evenkeel/source',
    file,
    ...parameters,
  ]
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
