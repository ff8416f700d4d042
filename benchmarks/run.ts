import { build } from 'esbuild'
import manifest from './package.json' with { type: 'json' }

// What is measured is what users run: compiled JavaScript, as from the published packages. To run TypeScript as it is costs a
// little for every function.
const foreign = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.mjs',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  conditions: ['@evenkeel/source'],
  external: foreign.filter((name) => !name.startsWith('@evenkeel/')),
})
const program = './dist/main.mjs'
await import(program)
