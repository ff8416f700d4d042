import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os, { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import v8 from 'node:v8'
import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  cpuPressure,
  DegradationManager,
  loopDelayPressure,
  memoryPressure,
  queuePressure,
  smoothedPressure,
  type Clock,
} from '../index.js'

let clock: FakeClock
let root: string

beforeEach(() => {
  clock = new FakeClock()
  root = mkdtempSync(join(tmpdir(), 'pressure-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(root, { recursive: true })
})

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

/** A container whose processes have used so many ms of one processor. */
const use = (usedMs: number): void =>
  write({
    'proc/self/cgroup': '0::/bot.slice/bot.service\n',
    'sys/fs/cgroup/bot.slice/bot.service/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/bot.slice/cpu.max': '100000 100000\n',
    'sys/fs/cgroup/bot.slice/cpu.stat': `usage_usec ${usedMs * 1_000}\nuser_usec 0\n`,
  })

describe('cpuPressure', () => {
  it('is the average over the window of what the container may use, limited anywhere above', async () => {
    use(0)
    const cpu = cpuPressure({ clock, root })
    let usedMs = 0
    const seen: number[] = []
    for (let second = 0; second < 12; second++) {
      seen.push(cpu())
      await clock.advance(1_000)
      use((usedMs += second < 7 ? 800 : 200))
    }
    expect(seen.slice(0, 5)).toEqual([0, 0, 0, 0, 0])
    expect(seen[5]).toBeCloseTo(0.8)
    expect(seen[11]).toBeCloseTo(0.2 + 0.6 / 5)
  })

  it('reads version 1 of the limits too', async () => {
    const used = (ns: number): void =>
      write({
        'proc/self/cgroup': '4:cpu,cpuacct:/docker/7\n3:memory:/docker/7\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '50000\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
        'sys/fs/cgroup/cpuacct/cpuacct.usage': `${ns}\n`,
      })
    used(0)
    const cpu = cpuPressure({ clock, root })
    cpu()
    await clock.advance(5_000)
    used(2_000 * 1e6)
    expect(cpu()).toBeCloseTo(2_000 / 5_000 / Math.min(0.5, availableParallelism()))
  })

  it('finds a group with a colon in its name, as containerd gives them', async () => {
    const used = (ms: number): void =>
      write({
        'proc/self/cgroup': '0::/pods.slice:cri-containerd:7\n',
        'sys/fs/cgroup/pods.slice:cri-containerd:7/cpu.max': '50000 100000\n',
        'sys/fs/cgroup/pods.slice:cri-containerd:7/cpu.stat': `usage_usec ${ms * 1_000}\n`,
      })
    used(0)
    const cpu = cpuPressure({ clock, root })
    cpu()
    await clock.advance(5_000)
    used(2_000)
    expect(cpu()).toBeCloseTo(0.8)
  })

  it('does not take one group for another when the limits are changed', async () => {
    const limit = (inner: string, outer: string): void =>
      write({
        'proc/self/cgroup': '0::/pod/bot\n',
        'sys/fs/cgroup/pod/bot/cpu.max': `${inner} 100000\n`,
        'sys/fs/cgroup/pod/bot/cpu.stat': 'usage_usec 1000000\n',
        'sys/fs/cgroup/pod/cpu.max': `${outer} 100000\n`,
        'sys/fs/cgroup/pod/cpu.stat': 'usage_usec 9000000000\n',
      })
    limit('100000', '200000')
    const cpu = cpuPressure({ clock, root })
    cpu()
    await clock.advance(5_000)
    expect(cpu()).toBeLessThan(0.1)
    limit('200000', '100000')
    await clock.advance(1_000)
    expect(cpu()).toBeLessThan(0.1)
  })

  it('goes by the tightest limit, of a group whose path begins above what can be seen', async () => {
    const used = (ms: number): void =>
      write({
        'proc/self/cgroup': '0::/../pod/bot\n',
        'sys/fs/cgroup/pod/bot/cpu.max': '50000 100000\n',
        'sys/fs/cgroup/pod/bot/cpu.stat': `usage_usec ${ms * 1_000}\n`,
        'sys/fs/cgroup/pod/cpu.max': '200000 100000\n',
        'sys/fs/cgroup/pod/cpu.stat': 'usage_usec 0\n',
      })
    used(0)
    const cpu = cpuPressure({ clock, root })
    cpu()
    await clock.advance(5_000)
    used(2_000)
    expect(cpu()).toBeCloseTo(0.8)
  })

  it('is at least what the process itself has used, and where nothing is limited what the machine has', async () => {
    const usage = vi.spyOn(process, 'cpuUsage').mockReturnValue({ user: 0, system: 0 })
    const cpus = vi.spyOn(os, 'cpus')
    const times = (user: number, idle: number) =>
      cpus.mockReturnValue([{ model: '', speed: 0, times: { user, nice: 0, sys: 0, idle, irq: 0 } }])
    times(0, 0)
    use(0)
    const [limited, unlimited] = [cpuPressure({ clock, root }), cpuPressure({ clock, root: join(root, 'nowhere') })]
    limited()
    unlimited()
    await clock.advance(5_000)
    times(3_500, 1_500)
    usage.mockReturnValue({ user: 2_000_000, system: 2_000_000 })
    expect(limited()).toBeCloseTo(0.8)
    usage.mockReturnValue({ user: 0, system: 0 })
    expect(unlimited()).toBeCloseTo(0.7)
  })

  it('is never beyond 1, and forgets what a pause hides', async () => {
    use(0)
    const cpu = cpuPressure({ clock, root })
    cpu()
    await clock.advance(5_000)
    use(50_000)
    expect(cpu()).toBe(1)
    await clock.advance(3_600_000)
    expect(cpu()).toBe(0)
  })

  it('looks at the machine where nothing is limited, and at no number but 0 to 1', async () => {
    const cpu = cpuPressure({ clock, root, windowMs: 20 })
    cpu()
    await clock.advance(20)
    expect(cpu()).toBeGreaterThanOrEqual(0)
    expect(cpu()).toBeLessThanOrEqual(1)
  })

  it('takes a spike of one sample for nothing', async () => {
    use(0)
    const cpu = cpuPressure({ clock, root })
    let [usedMs, worst] = [0, 0]
    for (let second = 0; second < 60; second++) {
      worst = Math.max(worst, cpu())
      await clock.advance(1_000)
      use((usedMs += second % 10 === 0 ? 1_000 : 300))
    }
    expect(worst).toBeLessThan(0.5)
  })
})

describe('memoryPressure', () => {
  it.each([0.5, 0.93])('is what the process fills of its container: %s', (ratio) => {
    const limit = Math.round(process.memoryUsage.rss() / ratio)
    write({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': `${limit}\n` })
    const seen = memoryPressure({ clock, root })()
    expect(seen).toBeGreaterThan(ratio * 0.9)
    expect(seen).toBeLessThanOrEqual(1)
  })

  it('reads version 1 of the limits too', () => {
    const limit = process.memoryUsage.rss() * 2
    write({ 'proc/self/cgroup': '3:memory:/\n', 'sys/fs/cgroup/memory/memory.limit_in_bytes': `${limit}\n` })
    expect(memoryPressure({ clock, root })()).toBeGreaterThan(0.4)
  })

  it('counts of the heap what was left after the last sweeps, and forgets it after the window', async () => {
    const heap = vi.spyOn(v8, 'getHeapStatistics')
    const real = v8.getHeapStatistics()
    const fill = (ratio: number) =>
      heap.mockReturnValue({ ...real, heap_size_limit: 1_000, used_heap_size: ratio * 1_000 })
    const memory = memoryPressure({ clock, root })
    fill(0.9)
    memory()
    await clock.advance(5_000)
    fill(0.7)
    expect(memory()).toBe(0.7)
    fill(0.95)
    await clock.advance(9_000)
    expect(memory()).toBe(0.7)
    await clock.advance(1_000)
    expect(memory()).toBe(0.95)
  })

  it.each(['max', '9223372036854771712', '0'])('takes a limit of %s for none', (limit) => {
    write({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': `${limit}\n` })
    const unlimited = memoryPressure({ clock, root: join(root, 'nowhere') })()
    expect(Math.abs(memoryPressure({ clock, root })() - unlimited)).toBeLessThan(0.2)
  })
})

describe('loopDelayPressure', () => {
  /** A loop that is blocked again and again: timers fire late by that much. */
  const blocked = (lateMs: () => number): Clock => ({
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delayMs, run) => clock.after(delayMs + lateMs(), run),
  })
  const watch = async (pressure: () => number, seconds: number): Promise<number> => {
    for (let second = 0; second < seconds; second++) {
      pressure()
      await clock.advance(1_000)
    }
    return pressure()
  }

  it('is nothing while the loop is idle', async () => {
    expect(await watch(loopDelayPressure({ clock }), 60)).toBe(0)
  })

  it('is what an event waits on average, as a share of what it may', async () => {
    expect(await watch(loopDelayPressure({ clock: blocked(() => 40) }), 120)).toBeCloseTo((40 * 100 + 800) / 140 / 100)
    expect(await watch(loopDelayPressure({ clock: blocked(() => 40), maxDelayMs: 20 }), 120)).toBe(1)
  })

  it('takes one block for little, and a block of seconds for much', async () => {
    const after = async (blockMs: number): Promise<number> => {
      let lateMs = 0
      const pressure = loopDelayPressure({ clock: blocked(() => lateMs) })
      await watch(pressure, 30)
      lateMs = blockMs
      await clock.advance(200)
      lateMs = 0
      await clock.advance(blockMs)
      return pressure()
    }
    expect(await after(200)).toBeLessThan(0.1)
    expect(await after(1_000)).toBeLessThan(0.6)
    expect(await after(5_000)).toBe(1)
  })

  it('stops measuring when nobody looks any more, and begins again', async () => {
    const pressure = loopDelayPressure({ clock })
    pressure()
    expect(clock.pending).toBe(1)
    await clock.advance(31_000)
    expect(clock.pending).toBe(0)
    pressure()
    expect(clock.pending).toBe(1)
  })

  it('takes a machine that slept for no fault of the loop', async () => {
    let lateMs = 0
    const pressure = loopDelayPressure({ clock: blocked(() => lateMs) })
    pressure()
    lateMs = 3_600_000
    await clock.advance(200)
    lateMs = 0
    await clock.advance(3_600_000)
    expect(pressure()).toBe(0)
  })

  it('forgets what was before the machine slept, and before nobody looked', async () => {
    let lateMs = 40
    const pressure = loopDelayPressure({ clock: blocked(() => lateMs) })
    expect(await watch(pressure, 60)).toBeGreaterThan(0.2)
    lateMs = 3_600_000
    await clock.advance(200)
    lateMs = 0
    await clock.advance(3_600_000)
    expect(pressure()).toBe(0)
    lateMs = 40
    expect(await watch(pressure, 60)).toBeGreaterThan(0.2)
    await clock.advance(60_000)
    expect(pressure()).toBe(0)
  })

  it('measures the real loop, and keeps no process alive', async () => {
    const pressure = loopDelayPressure({ windowMs: 1_000 })
    pressure()
    const end = performance.now() + 300
    while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(pressure()).toBeGreaterThan(0)
  })
})

describe('queuePressure and smoothedPressure', () => {
  it('are how full it is over a while, so that one sample that lies moves nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 0.5, noNaN: true }), { minLength: 5, maxLength: 50 }),
        fc.nat(),
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        (lengths, at, spike) => {
          let [nowMs, length] = [0, 0]
          const own = { now: () => nowMs, monotonic: () => nowMs, after: () => () => undefined }
          const queue = queuePressure(() => length * 100, 100, { clock: own })
          lengths.forEach((usual, index) => {
            nowMs += 1_000
            // Any sample but the first, beside which there is nothing to compare with.
            length = index === 1 + (at % (lengths.length - 1)) ? spike : usual
            const seen = queue()
            expect(seen).toBeGreaterThanOrEqual(0)
            expect(seen).toBeLessThan(0.7)
          })
        },
      ),
      { seed: 20_261_128 },
    )
  })

  it('follow what lasts', async () => {
    let length = 10
    const queue = queuePressure(() => length, 100, { clock })
    expect(queue()).toBe(0.1)
    length = 100
    for (let second = 0; second < 7; second++) {
      await clock.advance(1_000)
      queue()
    }
    expect(queue()).toBeGreaterThan(0.9)
  })

  it('hand on what is no number, and forget it', async () => {
    let value = 0.4
    const load = smoothedPressure(() => value, { clock })
    load()
    value = NaN
    await clock.advance(1_000)
    expect(load()).toBeNaN()
    value = 0.4
    expect(load()).toBeCloseTo(0.4)
  })
})

describe('in a manager', () => {
  it('the ready-made ones are measured when a rule names them', async () => {
    const modes = new DegradationManager({
      features: { remind: {} },
      rules: [
        { pressure: 'cpu', enter: 1, leave: 0.9, mode: 'DEGRADED' },
        { pressure: 'memory', enter: 1e-9, leave: 0, mode: 'DEGRADED' },
        { pressure: 'loopDelay', enter: 1, leave: 0.9, mode: 'DEGRADED' },
      ],
    })
    await modes.start()
    expect(modes.explain('remind').demands).toMatchObject([
      { mode: 'DEGRADED', why: expect.stringMatching(/memory/) as string },
    ])
    await modes.stop()
  })

  it('go by its clock', async () => {
    const modes = new DegradationManager({
      clock,
      features: {},
      rules: [{ pressure: 'loopDelay', enter: 1, leave: 0.9, mode: 'DEGRADED' }],
    })
    await modes.start()
    // The next sample, and the beat that is to be late.
    expect(clock.pending).toBe(2)
    await modes.stop()
  })

  it('give way to one of the same name that was given', async () => {
    const modes = new DegradationManager({
      features: { remind: {} },
      pressures: { cpu: () => 0.95 },
      rules: [{ pressure: 'cpu', enter: 0.9, leave: 0.7, mode: 'DEGRADED' }],
    })
    await modes.start()
    expect(modes.mode).toBe('DEGRADED')
    await modes.stop()
  })
})

describe('wrong options', () => {
  it.each<[() => unknown, ErrorConstructor | RangeErrorConstructor | TypeErrorConstructor]>([
    [() => cpuPressure({ windowMs: 0 }), RangeError],
    [() => cpuPressure({ root: 5 as never }), TypeError],
    [() => cpuPressure({ window: 5 } as never), TypeError],
    [() => memoryPressure({ windowMs: Infinity }), RangeError],
    [() => loopDelayPressure({ maxDelayMs: -1 }), RangeError],
    [() => loopDelayPressure({ root: '/' } as never), TypeError],
    [() => queuePressure(5 as never, 5), TypeError],
    [() => queuePressure(() => 1, 0), RangeError],
    [() => queuePressure(() => 1, Infinity), RangeError],
    [() => smoothedPressure(undefined as never), TypeError],
    [() => smoothedPressure(() => 1, { windowMs: NaN }), RangeError],
  ])('are refused: %o', (make, kind) => {
    expect(make).toThrow(kind)
  })
})
