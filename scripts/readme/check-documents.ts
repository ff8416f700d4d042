import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inParallel } from '../shell.js'
import { publishedFiles } from '../sources.js'
import { fromRoot, guidesOf, packages, root } from '../workspace.js'
import { checkDefaults } from './defaults.js'
import { documentationOf, fencesOf, fencesWithoutTwin, type Fence } from './extract.js'
import { runFence } from './run.js'
import { typecheckFences } from './typecheck.js'

function exampleFences(): Fence[] {
  return packages
    .flatMap(publishedFiles)
    .flatMap((path) => fencesOf(fromRoot(path), documentationOf(readFileSync(path, 'utf8'))))
}

/** Compiles and runs every fence of every README, guide and TSDoc example, and compares the tables of options. */
export async function checkDocuments(): Promise<string[]> {
  const readmes = ['README.md', ...packages.flatMap((pkg) => [`${pkg.folder}/README.md`, ...guidesOf(pkg)])]
  const missing = readmes.filter((file) => !existsSync(join(root, file)))
  const present = readmes.filter((file) => !missing.includes(file))
  const readmeFences = present.map((file) => fencesOf(file, readFileSync(join(root, file), 'utf8')))
  const fences = [...readmeFences.flat(), ...exampleFences()]
  const documented = packages.filter(({ folder }) => present.includes(`${folder}/README.md`))

  const faults = missing.map((file) => `${file} is missing`)
  for (const { file, line } of readmeFences.flatMap(fencesWithoutTwin)) {
    faults.push(`${file}:${line} has no CommonJS twin: a js fence in <details> must follow`)
  }
  faults.push(...typecheckFences(fences))
  faults.push(...(await inParallel(2, fences, runFence)).flat())
  faults.push(...(await inParallel(1, documented, checkDefaults)).flat())
  return faults
}
