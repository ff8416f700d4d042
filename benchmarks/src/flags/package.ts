import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const IMPORTS = 13

/** What a bot takes on with the package: its size, the packages that come with it, and the time that it takes to load. */
export function packaged(
  name: 'feature-flags' | 'health-monitor' | 'degradation-manager' | 'blue-green' = 'feature-flags',
): void {
  const folder = fileURLToPath(new URL(`../../packages/${name}`, import.meta.url))
  const entry = join(folder, 'dist/index.js')
  console.log(`\n${name}: the package`)
  if (!existsSync(entry)) return console.warn('  It is left out: `pnpm build` comes first')
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder, encoding: 'utf8' }),
  ) as { size: number; unpackedSize: number; entryCount: number }[]
  console.log(
    `  packed ${kilobytes(packed?.size)}, unpacked ${kilobytes(packed?.unpackedSize)}, ${packed?.entryCount} files`,
  )
  const packages = [...runTimePackages(folder)]
  console.log(`  ${packages.length} run-time packages beside it: ${packages.join(', ')}`)

  const emitter = createRequire(join(folder, 'package.json')).resolve('eventemitter3')
  const emitterModule = join(emitter, '..', 'index.mjs')
  const candidates = { eventemitter3: emitterModule, 'evenkeel, with it': entry }
  const times = new Map<string, Loading[]>(Object.keys(candidates).map((name) => [name, []]))
  for (let i = 0; i < IMPORTS; i++) {
    for (const [name, file] of Object.entries(candidates)) times.get(name)?.push(load(pathToFileURL(file).href))
  }
  for (const [name, loadings] of times) {
    console.log(
      `  import of ${name.padEnd(20)} wall ${shown(loadings, 'wallMs')}, cpu ${shown(loadings, 'cpuMs')}, memory ${at(loadings, 'rssMb', 0.5)} MB`,
    )
  }
  const [without = [], withIt = []] = times.values()
  const extra = (field: keyof Loading): string => (median(withIt, field) - median(without, field)).toFixed(2)
  console.log(`  more than eventemitter3: wall ${extra('wallMs')} ms, cpu ${extra('cpuMs')} ms`)
}

interface Loading {
  readonly wallMs: number
  readonly cpuMs: number
  readonly rssMb: number
}

/** In a process of its own, which has loaded nothing yet. */
function load(url: string): Loading {
  const program = `
    const rss = process.memoryUsage.rss()
    const cpu = process.cpuUsage()
    const startedAt = performance.now()
    await import(${JSON.stringify(url)})
    const wallMs = performance.now() - startedAt
    const { user, system } = process.cpuUsage(cpu)
    const rssMb = (process.memoryUsage.rss() - rss) / 1e6
    console.log(JSON.stringify({ wallMs, cpuMs: (user + system) / 1_000, rssMb }))`
  const parameters = ['--input-type=module', '--eval', program]
  return JSON.parse(execFileSync(process.execPath, parameters, { encoding: 'utf8' })) as Loading
}

/** All that is installed with a package, by name. */
function runTimePackages(folder: string, found = new Set<string>()): Set<string> {
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>
  }
  for (const name of Object.keys(dependencies)) {
    if (found.has(name)) continue
    found.add(name)
    runTimePackages(join(folder, 'node_modules', name), found)
  }
  return found
}

function shown(loadings: readonly Loading[], field: keyof Loading): string {
  return `${at(loadings, field, 0.5)} ms (${at(loadings, field, 0.25)} .. ${at(loadings, field, 0.75)})`
}

function at(loadings: readonly Loading[], field: keyof Loading, ratio: number): string {
  const sorted = loadings.map((loading) => loading[field]).sort((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) * ratio)] ?? Number.NaN).toFixed(2)
}

function median(loadings: readonly Loading[], field: keyof Loading): number {
  return Number(at(loadings, field, 0.5))
}

function kilobytes(bytes = Number.NaN): string {
  return `${(bytes / 1_000).toFixed(1)} kB`
}
