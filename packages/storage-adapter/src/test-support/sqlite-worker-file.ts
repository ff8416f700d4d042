import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'

/** Compiles the program of the worker thread, which no thread could load as TypeScript. */
export async function buildWorkerFile(directory: string): Promise<string> {
  // From where the thread is to find its driver.
  await symlink(fileURLToPath(new URL('../../../../node_modules', import.meta.url)), join(directory, 'node_modules'))
  const entry = fileURLToPath(new URL('../sqlite-worker.ts', import.meta.url))
  await build({
    entry: { 'sqlite-worker': entry },
    outDir: directory,
    config: false,
    format: 'esm',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    removeNodeProtocol: false,
    skipNodeModulesBundle: true,
    silent: true,
  })
  return join(directory, 'sqlite-worker.mjs')
}
