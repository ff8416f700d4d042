import { readFileSync } from 'node:fs'

interface Resolution {
  readonly name: string
  /** The extension decides whether a file is CommonJS or an ES module. */
  readonly file: string
  readonly compilerOptions: object
}

// skipLibCheck is off: our own declarations must compile too.
const common = { strict: true, noEmit: true, skipLibCheck: false, target: 'ES2022', lib: ['ES2023'], types: ['node'] }

/** Each way in which TypeScript finds the types of a package. */
export const resolutions: readonly Resolution[] = [
  {
    name: 'node10',
    file: 'consumer.ts',
    compilerOptions: { ...common, module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' },
  },
  { name: 'node16-cjs', file: 'consumer.cts', compilerOptions: { ...common, module: 'node16' } },
  { name: 'node16-esm', file: 'consumer.mts', compilerOptions: { ...common, module: 'node16' } },
  {
    name: 'bundler',
    file: 'bundled.ts',
    compilerOptions: { ...common, module: 'esnext', moduleResolution: 'bundler' },
  },
]

/**
 * A program that compiles only if the types of every entry are really there: each name that exists at run time must be
 * declared, and a name that does not exist must be an error, as it is not when an entry resolves to `any`.
 */
export function typeProbe(modules: Readonly<Record<string, readonly string[]>>): string {
  const probes = Object.entries(modules).map(
    ([specifier, names], index) => `
import * as entry${index} from '${specifier}'
export const names${index}: readonly (keyof typeof entry${index})[] = ${JSON.stringify(names)}
// @ts-expect-error no such export
export const absent${index} = entry${index}.isExportedByNoPackage
`,
  )
  return readFileSync(new URL('consumer.ts', import.meta.url), 'utf8') + probes.join('')
}
