import { readdirSync, readFileSync } from 'node:fs'
import { defineConfig } from 'tsup'
import { buildCode } from './scripts/build-code.js'

// One build for all packages. A package's entries are the source files that its `exports` name, and the programs of its
// worker threads, which are started by their file.
interface Manifest {
  exports: Record<string, string | Record<string, unknown>>
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
const entry: Record<string, string> = {}
for (const target of Object.values(manifest.exports)) {
  if (typeof target === 'string') continue
  const source = target['@evenkeel/source']
  if (typeof source !== 'string') throw new TypeError('Every export needs an "@evenkeel/source" condition')
  entry[source.replace(/^\.\/src\//, '').replace(/\.ts$/, '')] = source
}

const threads: Record<string, string> = {}
for (const file of readdirSync('src').filter((name) => name.endsWith('-worker.ts'))) {
  threads[file.replace(/\.ts$/, '')] = `src/${file}`
}

export default defineConfig(async () => {
  await buildCode(entry, threads, 'dist')
  return {
    entry,
    format: 'cjs',
    // tsup sets `baseUrl` for the declarations, which TypeScript 6 reports as deprecated.
    dts: { only: true, compilerOptions: { ignoreDeprecations: '6.0' } },
    // Say only what is wrong.
    silent: true,
  }
})
