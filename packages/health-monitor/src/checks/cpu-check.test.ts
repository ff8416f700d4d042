import os from 'node:os'
import { FakeClock } from '@evenkeel/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { look } from '../test-support/look.js'
import { temporaryFolder, writeFiles } from '../test-support/temporary-folder.js'
import { cpuCheck } from './cpu-check.js'

/** A container that may use so much, as the kernel shows it. */
function contain(cpuMax: string) {
  const root = temporaryFolder()
  writeFiles(root, { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': cpuMax })
  return {
    root,
    /** All processes of the container have used so much. */
    use: (ms: number): void => writeFiles(root, { 'sys/fs/cgroup/cpu.stat': `usage_usec ${ms * 1_000}\n` }),
  }
}

/** This process really does. */
function burn(ms: number): void {
  const began = process.cpuUsage()
  for (let used = 0; used < ms * 1_000;) {
    const { user, system } = process.cpuUsage(began)
    used = user + system
  }
}

it('says first that it has not seen a whole window', async () => {
  const clock = new FakeClock()
  const check = cpuCheck({ clock })
  expect(await look(check)).toEqual({ status: 'up', reason: '0 ms of the first 60 s have been seen' })
  await clock.advance(59_000)
  expect(await look(check)).toEqual({ status: 'up', reason: '59 s of the first 60 s have been seen' })
})

it.each([
  { usedMs: 23_000, status: 'up', reason: /^the time of 0.5 processors is used to 76.7 % over 60 s/ },
  { usedMs: 25_500, status: 'degraded', reason: /used to 85 % over 60 s, by this process to .* %, above 80 %$/ },
  { usedMs: 29_000, status: 'down', reason: /used to 96.7 % .*, above 95 %$/ },
])("is $status when the container's processes used $usedMs of 30,000 ms", async ({ usedMs, status, reason }) => {
  const clock = new FakeClock()
  const container = contain('50000 100000\n')
  container.use(1_000)
  const check = cpuCheck({ clock, root: container.root })
  await look(check)
  await clock.advance(60_000)
  container.use(1_000 + usedMs)
  const seen = await look(check)
  expect(seen.status).toBe(status)
  expect(seen.reason).toMatch(reason)
})

it('measures this process beside its quota, where the container tells nothing more', async () => {
  const clock = new FakeClock()
  const check = cpuCheck({ clock, root: contain('10000 100000\n').root, windowMs: 500 })
  await look(check)
  burn(60)
  await clock.advance(500)
  expect(await look(check)).toMatchObject({ status: 'down' })
})

it('takes a spike for nothing', async () => {
  const clock = new FakeClock()
  const container = contain('100000 100000\n')
  container.use(0)
  const check = cpuCheck({ clock, root: container.root })
  await look(check)
  let usedMs = 0
  for (let seconds = 10; seconds <= 300; seconds += 10) {
    await clock.advance(10_000)
    // Of every minute, the processors are busy for ten seconds and idle for fifty.
    usedMs += seconds % 60 === 0 ? 10_000 : 0
    container.use(usedMs)
    expect((await look(check)).status).toBe('up')
  }
})

it('follows a quota that is changed while the bot runs', async () => {
  const clock = new FakeClock()
  const container = contain('100000 100000\n')
  container.use(0)
  const check = cpuCheck({ clock, root: container.root })
  await look(check)
  await clock.advance(60_000)
  container.use(30_000)
  expect((await look(check)).status).toBe('up')
  writeFiles(container.root, { 'sys/fs/cgroup/cpu.max': '50000 100000\n' })
  expect((await look(check)).status).toBe('down')
})

it('counts half a processor of a quota, which Node rounds down', async () => {
  const rounded = vi.spyOn(os, 'availableParallelism').mockReturnValue(1)
  onTestFinished(() => void rounded.mockRestore())
  const clock = new FakeClock()
  const container = contain('150000 100000\n')
  writeFiles(container.root, { 'proc/self/status': 'Cpus_allowed_list:\t0-3\n' })
  container.use(0)
  const check = cpuCheck({ clock, root: container.root })
  await look(check)
  await clock.advance(60_000)
  container.use(63_000)
  expect(await look(check)).toMatchObject({
    status: 'up',
    reason: expect.stringMatching(/^the time of 1.5 processors is used to 70 %/) as string,
  })
})

it('has no more than the processors that the process may use, however large its quota', async () => {
  const clock = new FakeClock()
  const container = contain('400000 100000\n')
  writeFiles(container.root, { 'proc/self/status': 'Cpus_allowed_list:\t0\n' })
  container.use(0)
  const check = cpuCheck({ clock, root: container.root })
  await look(check)
  await clock.advance(60_000)
  container.use(58_000)
  expect((await look(check)).reason).toMatch(/^the time of 1 processors is used to 96.7 %/)
})

it('sees which of the groups around it is used up, and takes none for another', async () => {
  const clock = new FakeClock()
  const root = temporaryFolder()
  const use = (botMs: number, sliceMs: number): void =>
    writeFiles(root, {
      'sys/fs/cgroup/slice/bot/cpu.stat': `usage_usec ${botMs * 1_000}\n`,
      'sys/fs/cgroup/slice/cpu.stat': `usage_usec ${sliceMs * 1_000}\n`,
    })
  const limit = (bot: string, slice: string): void =>
    writeFiles(root, { 'sys/fs/cgroup/slice/bot/cpu.max': bot, 'sys/fs/cgroup/slice/cpu.max': slice })
  writeFiles(root, { 'proc/self/cgroup': '0::/slice/bot\n', 'proc/self/status': 'Cpus_allowed_list:\t0-3\n' })
  limit('100000 100000\n', 'max 100000\n')
  use(0, 9_000_000)
  const check = cpuCheck({ clock, root })
  await look(check)
  await clock.advance(60_000)
  limit('100000 100000\n', '200000 100000\n')
  use(30_000, 9_080_000)
  expect((await look(check)).reason).toMatch(/^the time of 1 processors is used to 50 %/)
  await clock.advance(60_000)
  use(60_000, 9_200_000)
  expect(await look(check)).toMatchObject({
    status: 'down',
    reason: expect.stringMatching(/^the time of 2 processors is used to 100 %/) as string,
  })
  limit('50000 100000\n', '200000 100000\n')
  await clock.advance(60_000)
  use(75_000, 9_260_000)
  expect((await look(check)).reason).toMatch(/used to 50 %/)
})

it('looks at the whole machine where nothing is limited', async () => {
  const clock = new FakeClock()
  const check = cpuCheck({ clock, root: temporaryFolder(), windowMs: 50 })
  await look(check)
  burn(20)
  await clock.advance(50)
  expect((await look(check)).reason).toMatch(
    /^the machine's processors are used to .* % over 50 ms, by this process to/,
  )
})

it('begins anew after a pause of hours, and whatever the wall clock does', async () => {
  const clock = new FakeClock()
  const container = contain('100000 100000\n')
  container.use(0)
  const check = cpuCheck({ clock, root: container.root })
  await look(check)
  clock.jump(-3_600_000)
  await clock.advance(7_200_000)
  container.use(7_200_000)
  expect((await look(check)).reason).toBe('0 ms of the first 60 s have been seen')
})

it.each([
  [{ windowMs: 0 }, RangeError],
  [{ downRatio: 0.5 }, RangeError],
  [{ root: 5 }, TypeError],
  [{ clock: {} }, TypeError],
  [{ window: 5 }, TypeError],
])('refuses %o', (options, kind) => {
  expect(() => cpuCheck(options as never)).toThrow(kind)
})
