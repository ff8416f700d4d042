import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packAll } from './pack.js'
import { run, tool, type Finished } from './shell.js'
import { resolutions, typeProbe } from './smoke/type-probe.js'
import { packages, root } from './workspace.js'

// What a user gets: every tarball installed into an empty folder, loaded both ways, and compiled against under each kind
// of module resolution. Everything but eventemitter3 comes from the tarballs.

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-smoke-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

function write(name: string, content: string | object): void {
  writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content, null, 2))
}

function mustPass(what: string, { code, stdout, output }: Finished): string {
  assert.equal(code, 0, `${what}:\n${output}`)
  console.log(`ok   ${what}`)
  return stdout
}

const dependencies: Record<string, string> = {}
for (const { name, tarball } of await packAll()) dependencies[name] = `file:${tarball}`
write('package.json', { private: true, dependencies, overrides: dependencies })
const npm = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional']
mustPass('install the tarballs', await run('npm', npm, { cwd: folder }))
const installed = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))
assert.deepEqual(installed.sort(), ['@evenkeel', 'eventemitter3'], 'more was installed than a user should need')

/** What each entry exports at run time, as a module system sees it. */
type Loaded = Readonly<Record<string, readonly string[]>>

const specifiers = packages.flatMap(({ entries }) => entries.map(({ specifier }) => specifier))
const list = JSON.stringify(specifiers)
const print = `console.log(JSON.stringify(loaded))`
write(
  'load.mjs',
  `const loaded = {}\nfor (const name of ${list}) loaded[name] = Object.keys(await import(name))\n${print}\n`,
)
write(
  'load.cjs',
  `const loaded = {}\nfor (const name of ${list}) loaded[name] = Object.keys(require(name))\n${print}\n`,
)

async function load(file: string): Promise<Loaded> {
  const printed = mustPass(`load every entry: ${file}`, await run(process.execPath, [file], { cwd: folder }))
  const loaded = JSON.parse(printed) as Record<string, string[]>
  for (const [name, exported] of Object.entries(loaded)) assert.notEqual(exported.length, 0, `${name} exports nothing`)
  return Object.fromEntries(Object.entries(loaded).map(([name, exported]) => [name, exported.sort()]))
}

const modules = await load('load.mjs')
assert.deepEqual(await load('load.cjs'), modules, 'CommonJS and ES modules must export the same names')

write(
  'same.mjs',
  `import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
for (const name of ${list}) assert.deepEqual(Object.entries(await import(name)).filter(([key, value]) => require(name)[key] !== value), [], name)
`,
)
mustPass('import and require the same classes', await run(process.execPath, ['same.mjs'], { cwd: folder }))

// Whoever imports the provider has the SDK, whose types are in its signatures. Both of its packages, for they refer to each other.
symlinkSync(join(root, 'node_modules', '@openfeature'), join(folder, 'node_modules', '@openfeature'))

for (const { name, file, compilerOptions } of resolutions) {
  write(file, typeProbe(modules))
  const typeRoots = [join(root, 'node_modules', '@types')]
  write(`tsconfig.${name}.json`, { compilerOptions: { ...compilerOptions, typeRoots }, files: [file] })
  const finished = await tool('tsc', ['--project', `tsconfig.${name}.json`, '--pretty', 'false'], { cwd: folder })
  mustPass(`compile a consumer: ${name}`, finished)
}
