import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const packageFolder = fileURLToPath(new URL('../..', import.meta.url))

/** How a module's process ended. */
export interface ModuleEnd {
  readonly code: number | null
  readonly lines: readonly string[]
  readonly errors: string
  readonly tookMs: number
}

/** Runs a module in a process of its own, and acts on its output line by line. */
export function runModule(
  code: string,
  onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => undefined,
): Promise<ModuleEnd> {
  const args = ['--import', 'tsx', '--conditions=@evenkeel/source', '--input-type=module', '--eval', code]
  const child = spawn(process.execPath, args, { cwd: packageFolder, stdio: ['ignore', 'pipe', 'pipe'] })
  const startedMs = performance.now()
  const lines: string[] = []
  let errors = ''
  let rest = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      lines.push(line)
      onLine(line, (signal) => child.kill(signal))
    }
  })
  return new Promise((resolve) => {
    child.on('close', (status) => resolve({ code: status, lines, errors, tookMs: performance.now() - startedMs }))
  })
}
