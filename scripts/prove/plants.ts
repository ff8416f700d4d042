/** A fault, put into one file of a copy of the work tree. */
export interface Plant {
  readonly what: string
  readonly file: string
  readonly edit: (text: string) => string
  /** What the check must print, to show that it saw this fault and not another one. */
  readonly named: string
}

/** A check and what it must not let pass. */
export interface Proof {
  readonly check: string
  readonly command: readonly string[]
  readonly plants: readonly Plant[]
}

const clockFile = 'packages/testing/src/fake-clock.ts'
const indexFile = 'packages/testing/src/index.ts'
const manifestFile = 'packages/testing/package.json'
const readmeFile = 'packages/health-monitor/README.md'

function append(...lines: readonly string[]): (text: string) => string {
  return (text) => text + lines.join('\n') + '\n'
}

function replace(pattern: RegExp, replacement: string): (text: string) => string {
  return (text) => text.replace(pattern, replacement)
}

interface EditableManifest {
  main: string
  dependencies?: Record<string, string>
  publishConfig: { exports: { '.': { require: { types: string; default: string } } } }
}

function manifest(change: (manifest: EditableManifest) => void): (text: string) => string {
  return (text) => {
    const parsed = JSON.parse(text) as EditableManifest
    change(parsed)
    return JSON.stringify(parsed, null, 2) + '\n'
  }
}

function check(step: string, plants: readonly Plant[]): Proof {
  return { check: step, command: ['tsx', '--conditions=@evenkeel/source', 'scripts/check.ts', step], plants }
}

const incompressible = Array.from({ length: 4_000 }, (_, index) =>
  ((index * 2_654_435_761) % 4_294_967_296).toString(36),
).join('')

export const proofs: readonly Proof[] = [
  check('types', [
    {
      what: 'a number where a string belongs',
      file: 'scripts/types.ts',
      edit: append('export const planted: string = 1'),
      named: 'scripts/types.ts(',
    },
    {
      what: 'an export whose type must be inferred',
      file: clockFile,
      edit: append('export const planted = Math.max(1, 2)'),
      named: 'TS9010',
    },
    {
      what: 'a FakeClock that no longer fits the clock port',
      file: clockFile,
      edit: replace(/^ {2}monotonic\(\): number/m, '  elapsed(): number'),
      named: 'test/fit.test-d.ts(',
    },
  ]),
  check('lint', [
    {
      what: 'a promise that nobody waits for',
      file: clockFile,
      edit: append('', 'Promise.resolve()'),
      named: '@typescript-eslint/no-floating-promises',
    },
    {
      what: 'time read from the wall instead of the clock port',
      file: clockFile,
      edit: append('', 'export const planted: number = Date.now()'),
      named: "'Date.now' is restricted",
    },
  ]),
  check('format', [
    {
      what: 'a semicolon',
      file: 'scripts/types.ts',
      edit: append('export const planted = 1;'),
      named: 'scripts/types.ts',
    },
  ]),
  check('readme', [
    {
      what: 'a misspelt name in a fence',
      file: readmeFile,
      edit: append(
        '```ts',
        "import { FakeClok } from '@evenkeel/testing'",
        '',
        'new FakeClok()',
        '```',
        '```js',
        '```',
      ),
      named: "no exported member named 'FakeClok'",
    },
    {
      what: 'a printed value that is not the one shown',
      file: readmeFile,
      edit: append('```ts', 'console.log(20 + 2) // => 23', '```', '```js', '```'),
      named: 'says // => 23, but it printed 22',
    },
    {
      what: 'a wrong value in the CommonJS twin only',
      file: readmeFile,
      edit: append('```ts', '```', '```js', 'console.log(30 + 3) // => 34', '```'),
      named: 'says // => 34, but it printed 33',
    },
    {
      what: 'a fence without its CommonJS twin',
      file: readmeFile,
      edit: append('```ts', '```'),
      named: 'has no CommonJS twin',
    },
    {
      what: 'a default that the code does not have',
      file: readmeFile,
      edit: replace(/^(\| `intervalMs` .*?)`10_000`/m, '$1`10_001`'),
      named: '`intervalMs` defaults to 10000, but the table says 10_001',
    },
    {
      what: 'an example in TSDoc that fails',
      file: clockFile,
      edit: append('/**', ' * ```ts', " * throw new Error('planted example')", ' * ```', ' */'),
      named: 'Error: planted example',
    },
  ]),
  check('exports', [
    {
      what: 'publishConfig.exports that differ from exports',
      file: manifestFile,
      edit: manifest(({ publishConfig }) => (publishConfig.exports['.'].require.default = './dist/index.js')),
      named: 'publishConfig.exports must be exports without',
    },
    {
      what: 'an import that is no dependency',
      file: clockFile,
      edit: append("export { EventEmitter } from 'eventemitter3'"),
      named: 'imports eventemitter3, which is not among the dependencies',
    },
  ]),
  check('packed', [
    {
      what: 'types of an ES module for those who require (attw)',
      file: manifestFile,
      edit: manifest(({ publishConfig }) => (publishConfig.exports['.'].require.types = './dist/index.d.ts')),
      named: 'Masquerading as ESM',
    },
    {
      what: 'a main file that is not in the tarball (publint)',
      file: 'packages/feature-flags/package.json',
      edit: manifest((parsed) => (parsed.main = './dist/absent.cjs')),
      named: 'absent.cjs',
    },
  ]),
  check('knip', [
    {
      what: 'a dependency that nothing uses',
      file: manifestFile,
      edit: manifest((parsed) => (parsed.dependencies = { eventemitter3: '^5.0.4' })),
      named: 'packages/testing/package.json',
    },
    {
      what: 'an export that nothing imports',
      file: 'scripts/shell.ts',
      edit: append('export const planted = 1'),
      named: 'planted',
    },
  ]),
  check('size', [
    {
      what: 'a bundle over its budget',
      file: indexFile,
      edit: append(`export const planted: string = '${incompressible}'`),
      named: 'minified and gzipped; its budget is',
    },
  ]),
  {
    check: 'api',
    command: ['typedoc'],
    plants: [
      {
        what: 'an export without a comment',
        file: indexFile,
        edit: append('export const planted: number = 1'),
        named: 'planted',
      },
    ],
  },
  {
    check: 'smoke',
    command: ['tsx', 'scripts/pack-smoke.ts'],
    plants: [
      {
        what: 'a subpath whose types the node10 resolution cannot find',
        file: 'packages/health-monitor/package.json',
        edit: replace(/"lifecycle": \[/, '"lifecicle": ['),
        named: "'@evenkeel/health-monitor/lifecycle'",
      },
    ],
  },
  {
    check: 'test',
    command: ['vitest', 'run', 'test/packages.test.ts', 'test/documents.test.ts'],
    plants: [
      {
        what: 'a package that imports another at run time',
        file: 'packages/feature-flags/src/index.ts',
        edit: append("export { FakeClock } from '@evenkeel/testing'"),
        named: '@evenkeel/testing',
      },
      {
        what: 'a path of this machine in a document',
        file: readmeFile,
        edit: append(`See ${['', 'home', 'someone', 'bot'].join('/')}/.`),
        named: 'packages/health-monitor/README.md:',
      },
    ],
  },
]
