import { FakeClock } from '@evenkeel/testing'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { BlueGreen, memoryState } from '../index.js'
import { childProcessSlot, type Slot } from '../slots-workers.js'
import { bundleChild } from '../test-support/bundle-child.js'
import type { Asked } from '../test-support/judged-version-child.js'

const program = bundleChild('judged-version-child.ts')
afterAll(() => program[Symbol.dispose]())

const minute = 60_000
const guilds = Array.from({ length: 200 }, (_, i) => `guild-${i}`)

/** A bot whose versions run in processes of their own, of which one call in so many fails. The windows are those of a test. */
function botOf(oneIn: Readonly<Record<'v1' | 'v2', number>>) {
  const clock = new FakeClock()
  const version = (name: 'v1' | 'v2'): Slot<Asked, number> => {
    return childProcessSlot<Asked, number>({
      name,
      entry: program.file,
      args: [String(oneIn[name])],
      execArgv: [],
      effects: 'stored',
    })
  }
  const blueGreen = new BlueGreen({
    versions: { v1: version('v1'), v2: version('v2') },
    initial: 'v1',
    context: ({ guildId }: Asked) => ({ eventId: null, guildId }),
    store: memoryState(),
    judge: { responseTimeIncrease: false },
    clock,
    random: () => 0.5,
  })
  onTestFinished(() => blueGreen.stop())
  const pids = new Set<number>()
  let nth = 0
  const serve = async (windows: number): Promise<void> => {
    for (let window = 0; window < windows; window++) {
      nth += 1
      await Promise.all(
        guilds.map(async (guildId) => {
          const pid = await blueGreen.handle({ guildId, nth }).catch(() => undefined)
          if (pid !== undefined) pids.add(pid)
        }),
      )
      await clock.advance(10 * minute)
    }
  }
  return { blueGreen, serve, pids }
}

it('rolls back a version in a process of its own that fails for more guilds, and lets one pass that does not', async () => {
  const plan = { percentages: [50, 100], stepMs: 120 * minute }
  for (const [v2, phase] of [
    [2, 'ROLLED_BACK'],
    [10, 'SHIFTING_TRAFFIC'],
  ] as const) {
    const { blueGreen, serve, pids } = botOf({ v1: 10, v2 })
    await blueGreen.start()
    await serve(12)
    expect(pids.size).toBe(1)
    const deployment = await blueGreen.deploy('v2', plan)
    await serve(13)
    expect(pids.size).toBe(2)
    expect(pids.has(process.pid)).toBe(false)
    expect(deployment.status.phase).toBe(phase)
    if (phase === 'ROLLED_BACK') expect(deployment.status.why).toMatch(/^the new version is worse: guilds with errors/)
  }
})
