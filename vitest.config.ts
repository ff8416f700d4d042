import { defineConfig } from 'vitest/config'

// Packages are tested from their sources: the private export condition needs no build.
const conditions = ['@evenkeel/source']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'examples/*/src/**/*.test.ts',
      'examples/*/test/**/*.test.ts',
      'test/**/*.test.ts',
    ],
    // Against hangs alone: a busy machine is no fault.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Tests that start real processes must not fight for two cores.
    maxWorkers: 2,
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**'],
      exclude: ['**/*.test.ts', '**/*.test-d.ts', '**/test-support/**'],
      reporter: ['text-summary', 'html'],
    },
  },
})
