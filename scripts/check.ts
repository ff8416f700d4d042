import { faultsOf, tool } from './shell.js'
import { checkManifests } from './manifest.js'
import { checkPacked } from './packed.js'
import { checkDocuments } from './readme/check-documents.js'
import { checkSizes } from './size.js'
import { checkTypes } from './types.js'

/** Looks at one thing and tells what is wrong with it; an empty list is a pass. */
type Step = () => Promise<readonly string[]>

const steps: Readonly<Record<string, Step>> = {
  types: checkTypes,
  lint: async () => faultsOf(await tool('eslint', ['.', '--max-warnings', '0'])),
  format: async () => faultsOf(await tool('prettier', ['--check', '.', '--log-level', 'warn'])),
  readme: checkDocuments,
  exports: checkManifests,
  packed: checkPacked,
  knip: async () => faultsOf(await tool('knip', ['--no-config-hints'])),
  size: checkSizes,
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !Object.hasOwn(steps, name))
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(', ')}. Steps: ${Object.keys(steps).join(', ')}`)
  process.exit(2)
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1_000).toFixed(1)} s`
}

const began = performance.now()
const failed: string[] = []

async function check(name: string, step: Step): Promise<void> {
  const stepBegan = performance.now()
  const faults = await step().catch((error: unknown) => [String(error instanceof Error ? error.stack : error)])
  console.log(`${faults.length === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(8)} ${seconds(stepBegan).padStart(8)}`)
  for (const fault of faults) console.log(fault.replace(/^/gm, '     '))
  if (faults.length > 0) failed.push(name)
}

// Two at a time: each is a process that keeps one core busy.
const left = Object.entries(steps).filter(([name]) => asked.length === 0 || asked.includes(name))
const worker = async (): Promise<void> => {
  for (let next = left.shift(); next !== undefined; next = left.shift()) await check(...next)
}
await Promise.all([worker(), worker()])

const count = asked.length || Object.keys(steps).length
const verdict = failed.length === 0 ? '0 failed' : `${failed.length} failed (${failed.join(', ')})`
console.log(`check: ${count - failed.length} passed, ${verdict} in ${seconds(began)}`)
if (failed.length > 0) process.exitCode = 1
