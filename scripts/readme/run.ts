import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { compileFunction } from 'node:vm'
import { runTypeScript, type Finished } from '../shell.js'
import { root } from '../workspace.js'
import { runBot } from './bot.js'
import { instrumented, unmetExpectations } from './expectations.js'
import type { Fence } from './extract.js'
import { asksForServer, surroundingsOf } from './servers.js'

const timeoutMs = 60_000

/** Makes an empty folder that resolves packages as the workspace does, with the fence as its only program. */
async function makeFolder(fence: Fence): Promise<{ cwd: string; program: string }> {
  const cwd = await mkdtemp(join(tmpdir(), 'evenkeel-fence-'))
  await symlink(join(root, 'node_modules'), join(cwd, 'node_modules'))
  await writeFile(join(cwd, 'package.json'), '{ "type": "module" }\n')
  const program = basename(fence.file) + (fence.language === 'ts' ? '.ts' : '.cjs')
  await writeFile(join(cwd, program), instrumented(fence))
  return { cwd, program }
}

function endFaults(where: string, { code, timedOut, output }: Finished): string[] {
  if (code === 0) return []
  const how = timedOut ? `did not end within ${timeoutMs} ms` : `ended with code ${code}`
  return [`${where} ${how}:\n${output.trim()}`]
}

/** A twin is for those without ES modules: neither `import` nor a top-level `await` will do. */
function commonJsFaults(where: string, { code }: Fence): string[] {
  try {
    compileFunction(code, ['require', 'module', 'exports', '__filename', '__dirname'])
    return []
  } catch (error) {
    return [`${where} is no CommonJS: ${String(error)}`]
  }
}

/** @returns how it went; `undefined` when the server that the marker asks for cannot be had here */
async function runProgram(
  marker: string | undefined,
  program: string,
  cwd: string,
): Promise<{ finished: Finished; faults: string[] } | undefined> {
  if (marker === undefined) return { finished: await runTypeScript([program], { cwd, timeoutMs }), faults: [] }
  if (!asksForServer(marker)) return runBot(marker, program, { cwd, timeoutMs })
  const surroundings = await surroundingsOf(marker)
  if (surroundings === undefined) return undefined
  try {
    return { finished: await runTypeScript([program], { cwd, timeoutMs, env: surroundings.env }), faults: [] }
  } finally {
    await surroundings.release()
  }
}

/** Runs one fence in a folder of its own; it must end well, print what it says, and write only below `data/`. */
export async function runFence(fence: Fence): Promise<string[]> {
  const where = `${fence.file}:${fence.line}`
  const syntaxFaults = fence.language === 'js' ? commonJsFaults(where, fence) : []
  if (syntaxFaults.length > 0) return syntaxFaults
  const { cwd, program } = await makeFolder(fence)
  try {
    const ran = await runProgram(fence.marker, program, cwd)
    if (ran === undefined) return []
    const { finished, faults } = ran
    const litter = (await readdir(cwd)).filter(
      (name) => !['node_modules', 'package.json', 'data', program].includes(name),
    )
    return [
      ...faults.map((fault) => `${where} ${fault}`),
      ...endFaults(where, finished),
      ...unmetExpectations(fence, finished.stdout),
      ...litter.map((name) => `${where} leaves ${name} behind; write below data/`),
    ]
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}
