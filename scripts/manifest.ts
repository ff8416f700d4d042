import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { importedPackages, publishedFiles } from './sources.js'
import { fromRoot, packages, readJson, type Conditions, type Package } from './workspace.js'

function* exportFaults({ manifest }: Package): Generator<string> {
  const published: Record<string, unknown> = {}
  const typesVersions: Record<string, string[]> = {}
  for (const [subpath, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') {
      published[subpath] = target
      continue
    }
    const { '@evenkeel/source': source, ...conditions } = target
    published[subpath] = conditions
    if (source === undefined || Object.keys(target)[0] !== '@evenkeel/source') {
      yield `exports["${subpath}"] must begin with the "@evenkeel/source" condition`
      continue
    }
    const built = source.replace('./src/', './dist/').replace(/\.ts$/, '')
    const expected: Conditions = {
      import: { types: `${built}.d.ts`, default: `${built}.js` },
      require: { types: `${built}.d.cts`, default: `${built}.cjs` },
    }
    if (!isDeepStrictEqual(conditions, expected)) {
      yield `exports["${subpath}"] must lead to what ${source} is built into: ${JSON.stringify(expected)}`
    }
    if (subpath !== '.') typesVersions[subpath.slice(2)] = [`${built}.d.cts`]
  }
  if (!isDeepStrictEqual(manifest.publishConfig?.exports, published)) {
    yield 'publishConfig.exports must be exports without the "@evenkeel/source" condition'
  }
  if (!isDeepStrictEqual(manifest.typesVersions?.['*'] ?? {}, typesVersions)) {
    yield `typesVersions["*"] must name each subpath for the node10 resolution: ${JSON.stringify(typesVersions)}`
  }
}

function* fileFaults({ manifest, path, entries }: Package): Generator<string> {
  for (const name of ['README.md', 'LICENSE', 'tsconfig.json', 'typedoc.json']) {
    if (!existsSync(join(path, name))) yield `${name} is missing`
  }
  const files = existsSync(join(path, 'docs')) ? ['dist', 'docs'] : ['dist']
  if (!isDeepStrictEqual(manifest.files, files)) yield `files must be ${JSON.stringify(files)}`
  const { entryPoints } = readJson(join(path, 'typedoc.json')) as { entryPoints: string[] }
  const sources = entries.map(({ source }) => relative(path, source))
  if (!isDeepStrictEqual(entryPoints.sort(), sources.sort())) {
    yield `typedoc.json must document every entry: ${JSON.stringify(sources)}`
  }
  for (const { subpath, source } of entries) {
    if (!existsSync(source)) yield `exports["${subpath}"] names ${fromRoot(source)}, which is missing`
  }
}

function* dependencyFaults(pkg: Package): Generator<string> {
  const { manifest } = pkg
  const atRunTime = { ...manifest.dependencies, ...manifest.peerDependencies }
  const unused = new Set(Object.keys(manifest.dependencies ?? {}))
  for (const file of publishedFiles(pkg)) {
    for (const name of importedPackages(file)) {
      unused.delete(name)
      if (name !== manifest.name && !Object.hasOwn(atRunTime, name)) {
        yield `${fromRoot(file)} imports ${name}, which is not among the dependencies`
      }
    }
  }
  for (const name of unused) yield `${name} is a dependency that no source file imports`
}

/** What in a package's manifest contradicts its files or itself. */
export function manifestFaults(pkg: Package): string[] {
  const faults = [...exportFaults(pkg), ...fileFaults(pkg), ...dependencyFaults(pkg)]
  return faults.map((fault) => `${pkg.folder}/package.json: ${fault}`)
}

export function checkManifests(): Promise<string[]> {
  return Promise.resolve(packages.flatMap(manifestFaults))
}
