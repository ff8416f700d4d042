import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { root } from '../scripts/workspace.js'

// Each package has a clock of its own, for none imports another; all keep the same promises.

interface SystemClock {
  readonly systemClock: { after(delayMs: number, run: () => void): () => void }
}

const names = ['alerts', 'blue-green', 'degradation-manager', 'feature-flags', 'health-monitor', 'storage-adapter']

describe.each(names)('%s', (name) => {
  const file = join(root, 'packages', name, 'src', 'system-clock.ts')

  it('takes a moment that is over for now: since Node 24 a negative delay is a warning to the operator', async () => {
    expect(existsSync(file)).toBe(true)
    const { systemClock } = (await import(pathToFileURL(file).href)) as SystemClock
    const setTimeout = vi.spyOn(globalThis, 'setTimeout')
    onTestFinished(() => setTimeout.mockRestore())
    await new Promise<void>((resolve) => void systemClock.after(-275.2, resolve))
    const delays = setTimeout.mock.calls.map(([, delayMs]) => delayMs)
    expect(delays).toEqual([0])
  })
})
