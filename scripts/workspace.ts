import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the whole workspace. */
export const root: string = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

interface Target {
  readonly types: string
  readonly default: string
}

/** What one subpath of `exports` leads to. The source condition is ours alone and is not published. */
export interface Conditions {
  readonly '@evenkeel/source'?: string
  readonly import: Target
  readonly require: Target
}

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly files?: readonly string[]
  readonly exports: Readonly<Record<string, Conditions | string>>
  readonly typesVersions?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
  readonly publishConfig?: { readonly exports?: Readonly<Record<string, unknown>> }
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** One thing to import: `@evenkeel/health-monitor/discord` from `src/discord.ts`. */
export interface Entry {
  /** `.` or `./discord`. */
  readonly subpath: string
  /** What a user writes after `from`. */
  readonly specifier: string
  /** Absolute path of its source. */
  readonly source: string
}

export interface Package {
  readonly name: string
  /** Relative to the root, such as `packages/health-monitor`. */
  readonly folder: string
  readonly path: string
  readonly manifest: Manifest
  readonly entries: readonly Entry[]
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function readPackage(folder: string): Package {
  const path = join(root, folder)
  const manifest = readJson(join(path, 'package.json')) as Manifest
  const entries = Object.entries(manifest.exports).flatMap(([subpath, target]) => {
    if (typeof target === 'string' || target['@evenkeel/source'] === undefined) return []
    return { subpath, specifier: manifest.name + subpath.slice(1), source: join(path, target['@evenkeel/source']) }
  })
  return { name: manifest.name, folder, path, manifest, entries }
}

/** Every package that is published. */
export const packages: readonly Package[] = readdirSync(join(root, 'packages'))
  .sort()
  .map((folder) => readPackage(`packages/${folder}`))

/** The path as a person at the root would write it. */
export function fromRoot(path: string): string {
  return relative(root, path)
}

/** The guides of a package, beside its README: `packages/blue-green/docs/workers.md`, relative to the root. */
export function guidesOf({ folder }: Package): string[] {
  const path = join(root, folder, 'docs')
  if (!existsSync(path)) return []
  const guides = readdirSync(path).filter((file) => file.endsWith('.md'))
  return guides.sort().map((file) => `${folder}/docs/${file}`)
}
