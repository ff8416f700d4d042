import { describe, expect, it } from 'vitest'
import { defaultsFaults, defaultsTablesOf } from '../scripts/readme/defaults.js'
import { unmetExpectations } from '../scripts/readme/expectations.js'
import { documentationOf, fencesOf, fencesWithoutTwin, type Fence } from '../scripts/readme/extract.js'
import { runFence } from '../scripts/readme/run.js'
import { typecheckFences } from '../scripts/readme/typecheck.js'

// The documents of the packages are only as true as the checker that reads them.

const file = 'packages/testing/README.md'

function readme(...lines: readonly string[]): Fence[] {
  return fencesOf(file, lines.join('\n'))
}

function onlyFence(...code: readonly string[]): Fence {
  const [fence] = readme('```ts', ...code, '```')
  if (fence === undefined) throw new Error('no fence found')
  return fence
}

describe('finding fences', () => {
  it('keeps each line where it is in the document', () => {
    const [fence] = readme('# Title', '', '```ts', 'const one = 1', '```')
    expect(fence).toMatchObject({ file, line: 3, language: 'ts' })
    expect(fence?.code.split('\n')[3]).toBe('const one = 1')
  })

  it('passes over shell and data', () => {
    expect(readme('```sh', 'npm install', '```', '```json', '{}', '```')).toEqual([])
  })

  it('gives the marker to the next TypeScript fence and its twin, and to no other', () => {
    const fences = readme('<!-- run: bot /ping -->', '```ts', '```', '```js', '```', '```ts', '```', '```js', '```')
    expect(fences.map(({ marker }) => marker)).toEqual(['bot /ping', 'bot /ping', undefined, undefined])
  })

  it('finds the TypeScript fence that has no twin', () => {
    const fences = readme('```ts', '```', '```ts', '```', '```js', '```')
    expect(fencesWithoutTwin(fences).map(({ line }) => line)).toEqual([1])
  })

  it('finds the examples of a source file at their own lines, and no code', () => {
    const source = ['/**', ' * @example', ' * ```ts', ' * run()', ' * ```', ' */', 'const text = "```ts"', '```']
    const [example, ...others] = fencesOf('a.ts', documentationOf(source.join('\n')))
    expect(example?.line).toBe(3)
    expect(example?.code.split('\n')[3]).toBe('   run()')
    expect(others).toEqual([])
  })
})

describe('compiling fences', () => {
  it('reports an error at its line and column in the document', () => {
    const fence = onlyFence('const text: string = 1', 'console.log(text)')
    expect(typecheckFences([fence])).toEqual([expect.stringContaining(`${file}:2:7 TS2322`)])
  })

  it('compiles a fence that imports a package by its public name', () => {
    expect(typecheckFences([onlyFence("import { FakeClock } from '@evenkeel/testing'", 'new FakeClock()')])).toEqual([])
  })
})

describe('running fences', () => {
  it('accepts what a line prints the first time', () => {
    expect(unmetExpectations(onlyFence('console.log(1) // => 1'), '\u001e2 1\n\u001e2 2\n')).toEqual([])
  })

  it('names the line that prints something else, and the line that prints nothing', async () => {
    const fence = onlyFence('console.log(1 + 1) // => 3', 'if (Math.PI < 3) console.log(4) // => 4')
    expect(await runFence(fence)).toEqual([
      `${file}:2 says // => 3, but it printed 2`,
      `${file}:3 says // => 4, but that line printed nothing`,
    ])
  })

  it('takes a comment alone on its line for what is printed from elsewhere, in that order', () => {
    const fence = onlyFence('emitter.emit("change")', '// => first', '// => second')
    expect(unmetExpectations(fence, 'zeroth\nfirst\nsecond\n')).toEqual([])
    expect(unmetExpectations(fence, 'second\nfirst\n')).toEqual([
      `${file}:4 says // => second, but no such line was printed then`,
    ])
  })

  it('refuses a fence that fails, or leaves files about', async () => {
    const fence = onlyFence("import { writeFileSync } from 'node:fs'", "writeFileSync('litter', '')", 'process.exit(3)')
    expect(await runFence(fence)).toEqual([
      expect.stringContaining('ended with code 3'),
      expect.stringContaining('leaves litter behind'),
    ])
  })

  it('refuses a twin that is no CommonJS', async () => {
    const [twin] = readme('```js', "import '@evenkeel/testing'", '```')
    expect(twin && (await runFence(twin))).toEqual([expect.stringContaining('is no CommonJS')])
  })
})

describe('tables of options', () => {
  const [table] = defaultsTablesOf(
    [
      '<!-- defaults: checkDefaults -->',
      '',
      '| option | unit | default | meaning |',
      '| --- | --- | --- | --- |',
      '| `intervalMs` | ms | `5_000` | how often |',
      "| `mode` | `'up' \\| 'down'` | `'up'` | how |",
      '| `check` | | required | what |',
    ].join('\n'),
  )

  it('accepts literals that agree, a number with separators among them, and prose for what has no default', () => {
    expect(table && defaultsFaults(file, table, { intervalMs: 5_000, mode: 'up' })).toEqual([])
  })

  it('names the wrong value, the missing row and the default that does not exist', () => {
    expect(table && defaultsFaults(file, table, { intervalMs: 1_000, timeoutMs: 1 })).toEqual([
      `${file}:5 \`intervalMs\` defaults to 1000, but the table says 5_000`,
      expect.stringContaining('`mode` has no default in checkDefaults'),
      `${file}:1 has no row for \`timeoutMs\` of checkDefaults`,
    ])
  })
})
