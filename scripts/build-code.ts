import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { rollup, type GetModuleInfo, type Plugin } from 'rollup'
import ts from 'typescript'

// A package holds its code once, as CommonJS. Its ES modules and their types name what CommonJS exports, as those of eventemitter3,
// pg and ws do: so a class is the same class for whoever imports it and whoever requires it, and nothing is installed twice.

/** The entries of a package and the programs of its threads: their names and source files. */
export type Entries = Readonly<Record<string, string>>

/** So begins the name of a file that only exports: its code lies beside it, where Node does not look for names at every import. */
const front = '\0'

/** Types refer to one another in circles, and the helpers that TypeScript writes for `await using` begin with `this`. */
const harmless: ReadonlySet<string | undefined> = new Set(['CIRCULAR_DEPENDENCY', 'THIS_IS_UNDEFINED'])

/** Writes all JavaScript of a package, and the types of its ES modules; those of CommonJS are the work of the bundler of types. */
export async function buildCode(entries: Entries, threads: Entries, folder: string): Promise<void> {
  const all = { ...entries, ...threads }
  const bundle = await rollup({
    input: Object.fromEntries(Object.keys(all).map((name) => [name, front + name])),
    external: (id) => !/^[./\0]/.test(id),
    plugins: [fromSources(all), formatted()],
    onLog: (level, log) => {
      if (level === 'warn' && !harmless.has(log.code)) throw new Error(log.message)
    },
  })
  rmSync(folder, { recursive: true, force: true })
  const { output } = await bundle.write({
    dir: folder,
    format: 'cjs',
    exports: 'named',
    interop: 'default',
    externalLiveBindings: false,
    freeze: false,
    hoistTransitiveImports: false,
    generatedCode: { preset: 'es2015', symbols: false },
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    manualChunks: (id, { getModuleInfo }) => chunkOf(id, getModuleInfo),
  })
  await bundle.close()
  for (const chunk of output) {
    if (chunk.type !== 'chunk' || !chunk.isEntry || !Object.hasOwn(entries, chunk.name)) continue
    const from = `from './${chunk.name}.cjs'\n`
    writeFileSync(join(folder, `${chunk.name}.js`), `export { ${chunk.exports.join(', ')} } ${from}`)
    writeFileSync(join(folder, `${chunk.name}.d.ts`), `export * ${from}`)
  }
}

/** The sources without types and comments, which the types that are installed with them keep. */
function fromSources(entries: Entries): Plugin {
  return {
    name: 'sources',
    resolveId: (id, importer) => {
      if (id.startsWith(front)) return id
      return id.startsWith('.') && importer !== undefined ? join(dirname(importer), id.replace(/\.js$/, '.ts')) : null
    },
    // The sources ask for it only where the `__filename` of CommonJS is not to be had.
    resolveImportMeta: () => 'undefined',
    load: (id) => {
      if (id.startsWith(front)) {
        const source = JSON.stringify(resolve(entries[id.slice(front.length)] as string))
        return { code: `import ${source}; export * from ${source}`, moduleSideEffects: true }
      }
      return ts.transpileModule(readFileSync(id, 'utf8'), {
        fileName: id,
        compilerOptions: {
          target: ts.ScriptTarget.ES2022,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
          removeComments: true,
        },
      }).outputText
    },
  }
}

/** It reads as the sources do, and is smaller than as TypeScript writes it. */
function formatted(): Plugin {
  return {
    name: 'formatted',
    renderChunk: async (code) => format(code, { ...(await resolveConfig(import.meta.filename)), parser: 'babel' }),
  }
}

/** The code of one entry lies in one file, and what it has in common with the main entry in another: each file takes time to load. */
function chunkOf(id: string, infoOf: GetModuleInfo): string | undefined {
  if (id.startsWith(front)) return undefined
  const entries = entriesTo(id, infoOf)
  if (entries.length === 1) return `${entries[0]}-code`
  return entries.includes('index') ? 'shared-code' : `${entries.sort().join('-')}-code`
}

/** The entries by which a module is reached. */
function entriesTo(id: string, infoOf: GetModuleInfo): string[] {
  const found = new Set([id])
  for (const module of found) {
    const info = infoOf(module)
    for (const importer of [...(info?.importers ?? []), ...(info?.dynamicImporters ?? [])]) found.add(importer)
  }
  return [...found].filter((module) => module.startsWith(front)).map((module) => module.slice(front.length))
}
