import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { resolve } from 'node:path'
import ts from 'typescript'
import type { Package } from './workspace.js'

function specifiersIn(path: string): string[] {
  return ts.preProcessFile(readFileSync(path, 'utf8'), true, true).importedFiles.map(({ fileName }) => fileName)
}

/** The packages that a file imports, by the name to install: `discord.js`, `@evenkeel/testing`. */
export function importedPackages(path: string): string[] {
  return specifiersIn(path)
    .filter((name) => !name.startsWith('.') && !name.startsWith('node:') && !builtinModules.includes(name))
    .map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/'))
}

/** A source file and all that it imports by a relative path, however far. */
export function filesReachedFrom(source: string, seen: Set<string> = new Set<string>()): Set<string> {
  if (seen.has(source)) return seen
  seen.add(source)
  for (const specifier of specifiersIn(source).filter((name) => name.startsWith('.'))) {
    filesReachedFrom(resolve(source, '..', specifier.replace(/\.js$/, '.ts')), seen)
  }
  return seen
}

/** The source files that a package publishes, as opposed to its tests and their fixtures. */
export function publishedFiles({ entries }: Package): string[] {
  const files = entries.flatMap(({ source }) => [...filesReachedFrom(source)])
  return [...new Set(files)].sort()
}
