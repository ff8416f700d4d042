import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pnpm } from './shell.js'
import { packages, type Package } from './workspace.js'

export interface Packed extends Package {
  /** Absolute path of the .tgz that would be published. */
  readonly tarball: string
}

async function mustRun(args: readonly string[]): Promise<void> {
  const { code, output } = await pnpm(args)
  if (code !== 0) throw new Error(`pnpm ${args.join(' ')} failed:\n${output}`)
}

async function buildAndPack(): Promise<Packed[]> {
  const destination = mkdtempSync(join(tmpdir(), 'evenkeel-pack-'))
  process.on('exit', () => rmSync(destination, { recursive: true, force: true }))
  await mustRun(['build'])
  await mustRun(['--recursive', '--filter', './packages/*', 'pack', '--pack-destination', destination])
  return packages.map((pkg) => {
    const file = `${pkg.name.slice(1).replace('/', '-')}-${pkg.manifest.version}.tgz`
    return { ...pkg, tarball: join(destination, file) }
  })
}

let packed: Promise<Packed[]> | undefined

/** Builds and packs every package as a release would, once per process; pnpm applies `publishConfig` while packing. */
export function packAll(): Promise<Packed[]> {
  return (packed ??= buildAndPack())
}
