import { statSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { packAll } from './pack.js'
import { fromRoot, packages, readJson, root, type Entry } from './workspace.js'

const budgetFile = join(root, 'scripts', 'size-budgets.json')
/** One package has ten entries, and its guides beside its README: docs/decisions/0029-ten-entries.md. */
const maxPackedBytes: Readonly<Record<string, number>> = { '@evenkeel/blue-green': 300_000 }
const usualMaxPackedBytes = 150_000
/** An entry's own code, minified and gzipped: what a bundler would add to a bot, dependencies left out. */
async function bundledBytes({ source }: Entry): Promise<number> {
  const { outputFiles } = await build({
    entryPoints: [source],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
  })
  return gzipSync(outputFiles[0]?.contents ?? '').length
}

/** Compares each entry with its budget in size-budgets.json, and each tarball with its limit. */
export async function checkSizes(): Promise<string[]> {
  const budgets = new Map(Object.entries(readJson(budgetFile) as Record<string, number>))
  const faults: string[] = []
  for (const entry of packages.flatMap(({ entries }) => entries)) {
    const bytes = await bundledBytes(entry)
    const budget = budgets.get(entry.specifier)
    budgets.delete(entry.specifier)
    if (budget === undefined) {
      faults.push(`${fromRoot(budgetFile)}: ${entry.specifier} (${bytes} bytes) has no budget`)
    } else if (bytes > budget) {
      faults.push(`${entry.specifier} is ${bytes} bytes minified and gzipped; its budget is ${budget}`)
    }
  }
  for (const specifier of budgets.keys())
    faults.push(`${fromRoot(budgetFile)}: ${specifier} is no entry of any package`)
  for (const { name, tarball } of await packAll()) {
    const { size } = statSync(tarball)
    const limit = maxPackedBytes[name] ?? usualMaxPackedBytes
    if (size > limit) faults.push(`${name} is ${size} bytes packed; the limit is ${limit}`)
  }
  return faults
}
