import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { proofs, type Plant, type Proof } from './prove/plants.js'
import { pnpm, run } from './shell.js'
import { root } from './workspace.js'

// A check that has never been seen to fail proves nothing. So: copy the work tree, plant faults, and see whether the check
// that is there for them fails and names each one.

async function copyWorkTree(): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'evenkeel-prove-'))
  process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
  const listed = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'])
  for (const file of listed.stdout.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
    cpSync(join(root, file), join(copy, file))
  }
  const { code, output } = await pnpm(['install', '--frozen-lockfile', '--prefer-offline'], { cwd: copy })
  if (code !== 0) throw new Error(`Cannot install into the copy:\n${output}`)
  return copy
}

/** Plants, runs, and restores. Resolves with the plants that the check did not name. */
async function prove(copy: string, { command, plants }: Proof): Promise<{ missed: readonly Plant[]; output: string }> {
  const originals = new Map(plants.map(({ file }) => [file, readFileSync(join(copy, file), 'utf8')]))
  for (const { what, file, edit } of plants) {
    const before = readFileSync(join(copy, file), 'utf8')
    const after = edit(before)
    if (after === before) throw new Error(`"${what}" changes nothing in ${file}; the plant needs another place`)
    writeFileSync(join(copy, file), after)
  }
  const [program = '', ...args] = command
  const { code, output } = await run(join(copy, 'node_modules', '.bin', program), args, { cwd: copy })
  for (const [file, text] of originals) writeFileSync(join(copy, file), text)
  return { missed: code === 0 ? plants : plants.filter(({ named }) => !output.includes(named)), output }
}

const asked = process.argv.slice(2)
const copy = await copyWorkTree()
for (const proof of proofs) {
  if (asked.length > 0 && !asked.includes(proof.check)) continue
  const began = performance.now()
  const { missed, output } = await prove(copy, proof)
  const seconds = ((performance.now() - began) / 1_000).toFixed(1)
  for (const plant of proof.plants) {
    const verdict = missed.includes(plant) ? 'MISSED' : 'caught'
    console.log(`${verdict}  ${proof.check.padEnd(8)}${seconds.padStart(6)} s  ${plant.what}`)
  }
  if (missed.length > 0) {
    console.log(output.replace(/^/gm, '     '))
    process.exitCode = 1
  }
}
