import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { BlueGreen, memoryState } from '../index.js'
import type { workerThreadSlot } from '../slots-workers.js'
import {
  childProcessSlot,
  SlotCrew,
  type EventNews,
  type Slot,
  type VersionNews,
  type WorkerSlotOptions,
} from '../slots-workers.js'
import { bundleChild } from '../test-support/bundle-child.js'
import type { Task } from '../test-support/slot-worker-child.js'

const program = bundleChild('slot-worker-child.ts')
afterAll(() => program[Symbol.dispose]())

interface Answer {
  readonly id: string
  readonly isRepeat: boolean
  readonly pid: number
}
type Options = Partial<WorkerSlotOptions<Task>>

/** Two versions in processes, and what was told of them. */
function crewOf(options: Options = {}, makeSlot: typeof childProcessSlot | typeof workerThreadSlot = childProcessSlot) {
  const path = mkdtempSync(join(tmpdir(), 'evenkeel-crew-'))
  const slot = (name: string): Slot<Task, Answer> => {
    writeFileSync(join(path, name), '')
    const restarts = { delayMs: 10, maxDelayMs: 20, maxRestarts: 1_000 }
    const args = ['serve', join(path, name)]
    const base = { entry: program.file, execArgv: [], stopTimeoutMs: 400, restarts, args, effects: 'stored' } as const
    return makeSlot<Task, Answer>({ ...base, name, ...options })
  }
  const slots = { v1: slot('v1'), v2: slot('v2') }
  const told: (VersionNews & { readonly event: string })[] = []
  const redelivered: EventNews[] = []
  const unknown: EventNews[] = []
  let active = 'v1'
  const crew = new SlotCrew({ slots, active: () => active, eventId: ({ id }: Task) => id, budgetMs: 15_000 })
  for (const event of ['died', 'restarted', 'gaveUp'] as const) crew.on(event, (news) => told.push({ ...news, event }))
  crew.on('redelivered', (news) => redelivered.push(news))
  crew.on('unknown', (news) => unknown.push(news))
  onTestFinished(async () => {
    await crew.stop()
    rmSync(path, { recursive: true })
  })
  const lines = (name: string): string[] => readFileSync(join(path, name), 'utf8').split('\n').slice(0, -1)
  const activate = (version: string): void => void (active = version)
  return { crew, slots, path, lines, told, redelivered, unknown, activate }
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )

async function pidOf(slot: Slot<Task, Answer>): Promise<number> {
  return (await slot.handle({ id: 'pid' })).pid
}

describe('a crew of versions', () => {
  it('gives what a killed version had not begun to the other, and says so', async () => {
    const { crew, slots, lines, redelivered, told } = crewOf()
    await Promise.all([crew.stage('v1'), crew.stage('v2')])
    process.kill(await pidOf(slots.v2), 'SIGKILL')
    expect(await crew.versions.v2({ id: 'a' })).toMatchObject({ id: 'a', isRepeat: false })
    expect(lines('v1')).toEqual(['begun a false'])
    expect(redelivered).toMatchObject([{ from: 'v2', to: 'v1', eventId: 'a', isRepeat: false }])
    expect(told).toMatchObject([{ event: 'died', version: 'v2', severity: 'WARNING' }])
    // The next goes there without having been refused.
    expect(await crew.versions.v2({ id: 'b' })).toMatchObject({ id: 'b' })
    expect(redelivered).toHaveLength(1)
  })

  it('gives what a frozen version had not begun to the other', async () => {
    const { crew, slots, lines, redelivered } = crewOf({ heartbeatMs: 50, hungAfterMs: 200 })
    await Promise.all([crew.stage('v1'), crew.stage('v2')])
    process.kill(await pidOf(slots.v2), 'SIGSTOP')
    const ids = Array.from({ length: 20 }, (_, i) => String(i))
    await Promise.all(ids.map((id) => crew.versions.v2({ id })))
    expect(lines('v1').sort()).toEqual(ids.map((id) => `begun ${id} false`).sort())
    expect(redelivered).toHaveLength(20)
  })

  it('repeats once what a version died over, and says so', async () => {
    const { crew, lines, redelivered, unknown } = crewOf()
    await Promise.all([crew.stage('v1'), crew.stage('v2')])
    expect(await failure(crew.versions.v2({ id: 'a', does: 'kill' }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect([lines('v2'), lines('v1')]).toEqual([['begun a false'], ['begun a true']])
    expect(redelivered).toMatchObject([{ from: 'v2', to: 'v1', isRepeat: true }])
    expect(unknown).toMatchObject([{ from: 'v1', to: undefined, eventId: 'a' }])
  })

  it('never repeats what is to be run at most once', async () => {
    const { crew, lines, redelivered, unknown } = crewOf({ effects: 'atMostOnce' })
    await Promise.all([crew.stage('v1'), crew.stage('v2')])
    expect(await failure(crew.versions.v2({ id: 'a', does: 'kill' }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(lines('v1')).toEqual([])
    expect([redelivered, unknown.map(({ from }) => from)]).toEqual([[], ['v2']])
  })

  it('passes on what a version itself threw, and asks nobody else', async () => {
    const { crew, lines } = crewOf()
    await Promise.all([crew.stage('v1'), crew.stage('v2')])
    expect(await failure(crew.versions.v2({ id: 'a', does: 'throw' }))).toMatchObject({ code: 'USER' })
    expect(lines('v1')).toEqual([])
  })

  it('starts the active version again, while its events wait', async () => {
    const { crew, slots, told, redelivered } = crewOf()
    await crew.start()
    process.kill(await pidOf(slots.v1), 'SIGKILL')
    expect(await crew.versions.v1({ id: 'a' })).toMatchObject({ id: 'a' })
    expect(told.map(({ event }) => event)).toEqual(['died', 'restarted'])
    expect(redelivered).toMatchObject([{ from: 'v1', to: 'v1' }])
  })

  it('gives up on a crash loop, and begins anew when it is staged', async () => {
    const { crew, slots, told } = crewOf({ restarts: { maxRestarts: 2, delayMs: 5 }, effects: 'atMostOnce' })
    await crew.start()
    const gaveUp = new Promise((resolve) => crew.once('gaveUp', resolve))
    crew.on('restarted', () => void failure(crew.versions.v1({ id: 'b', does: 'kill' })))
    void failure(crew.versions.v1({ id: 'a', does: 'kill' }))
    expect(await gaveUp).toMatchObject({ version: 'v1', severity: 'CRITICAL' })
    expect(told.map(({ event }) => event)).toEqual(['died', 'restarted', 'died', 'restarted', 'died', 'gaveUp'])
    expect(slots.v1.health?.()).toBe('down')
    await crew.stage('v1')
    expect(await crew.versions.v1({ id: 'c' })).toMatchObject({ id: 'c' })
  })

  it('refuses an event when no version can take it within the budget', async () => {
    const { slots } = crewOf()
    const crew = new SlotCrew({ slots, active: () => 'v1', eventId: () => undefined, budgetMs: 60 })
    expect(await failure(crew.versions.v1({ id: 'a' }))).toMatchObject({ code: 'NOT_BEGUN' })
  })

  it('retires a version, and starts none again after stop()', async () => {
    const { crew, lines, slots } = crewOf()
    await crew.start()
    expect(await crew.retire('v1')).toEqual({ drained: true, running: 0 })
    expect([lines('v1'), slots.v1.health?.()]).toEqual([['onDrain'], 'down'])
    await crew.stop()
    expect(await failure(crew.versions.v1({ id: 'a' }))).toMatchObject({ code: 'NOT_BEGUN' })
  })

  it('a new version that dies is rolled back before its events go elsewhere', async () => {
    const { crew, slots, redelivered } = crewOf()
    await Promise.all([crew.stage('v1'), crew.stage('v2')])
    const blueGreen = new BlueGreen<Task>({
      versions: crew.versions,
      initial: 'v1',
      context: ({ id }) => ({ eventId: id, guildId: id }),
      store: memoryState(),
    })
    crew.on('died', ({ version, why }) => {
      if (blueGreen.deployment?.to === version) void blueGreen.rollback({ why })
    })
    const deployment = await blueGreen.deploy('v2', { percentages: [100], stepMs: 600_000 })
    process.kill(await pidOf(slots.v2), 'SIGKILL')
    expect(await blueGreen.handle({ id: 'a' })).toMatchObject({ id: 'a' })
    expect(await deployment.finished).toEqual({ outcome: 'ROLLED_BACK', why: 'it was ended by SIGKILL' })
    expect(redelivered).toHaveLength(1)
    await blueGreen.stop()
  })
})

/** mulberry32, so that a run can be had again. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

it('no event is lost and none is done twice unreported while versions are killed at random', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  const random = randomFrom(seed)
  const { crew, slots, lines, redelivered, unknown } = crewOf({ heartbeatMs: 50, hungAfterMs: 300 })
  await Promise.all([crew.stage('v1'), crew.stage('v2')])
  let kills = 0
  const killed: Promise<unknown>[] = []
  const answers: Promise<unknown>[] = []
  for (let i = 0; i < 200; i++) {
    const version = random() < 0.5 ? 'v1' : 'v2'
    answers.push(failure(crew.versions[version]({ id: String(i), does: 'store' })))
    if (random() < 0.04) {
      const victim = random() < 0.5 ? 'v1' : 'v2'
      const signal = random() < 0.7 ? 'SIGKILL' : 'SIGSTOP'
      // While it is down there is nothing to kill. A new version is staged again by whoever deploys it.
      const kill = pidOf(slots[victim]).then((pid) => (kills++, process.kill(pid, signal)))
      killed.push(kill.catch(() => crew.stage(victim).catch(() => undefined)))
    }
    await new Promise((resolve) => setTimeout(resolve, random() * 4))
  }
  await Promise.all(killed)
  const ended = await Promise.all(answers)

  const failed = ended.flatMap((answer, i) => ('value' in (answer as object) ? [] : [`${i}: ${String(answer)}`]))
  const begun = new Map<string, number>()
  for (const line of [...lines('v1'), ...lines('v2')]) {
    const [what, id = ''] = line.split(' ')
    if (what === 'begun' && id !== 'pid') begun.set(id, (begun.get(id) ?? 0) + 1)
  }
  const done = new Set([...lines('v1'), ...lines('v2')].filter((line) => line.startsWith('done')))
  const repeats = redelivered.filter(({ isRepeat }) => isRepeat).map(({ eventId }) => eventId)
  const twice = [...begun].filter(([, times]) => times > 1).map(([id]) => id)
  const reported = new Set([...repeats, ...unknown.map(({ eventId }) => eventId)])
  const context = `seed ${seed}, ${kills} kills, ${repeats.length} repeats`
  // An event on which both versions died is no loss in silence: it is reported.
  const excused = unknown.map(({ eventId }) => eventId)
  expect(
    failed.filter((line) => !excused.includes(line.split(':')[0])),
    context,
  ).toEqual([])
  expect(begun.size, context).toBe(200)
  expect(done.size + excused.length, context).toBeGreaterThanOrEqual(200)
  expect(
    twice.filter((id) => !reported.has(id)),
    context,
  ).toEqual([])
  expect(Math.max(...begun.values()), context).toBeLessThanOrEqual(2)
  if (kills === 0) expect(redelivered, context).toEqual([])
}, 60_000)

it('options that make no sense are refused', () => {
  const slots = { v1: childProcessSlot({ entry: 'x', effects: 'stored' }) }
  const base = { slots, active: () => 'v1', eventId: () => undefined }
  const wrong: [Record<string, unknown>, string][] = [
    [{ slots: {} }, 'slots must be an object'],
    [{ slots: { v1: () => 1 } }, '"v1" is no slot'],
    [{ active: 'v1' }, 'active of SlotCrew must be a function'],
    [{ eventId: undefined }, 'eventId of SlotCrew must be a function'],
    [{ budgetMs: 0 }, 'budgetMs'],
    [{ budget: 5 }, 'has no option "budget"'],
  ]
  for (const [options, words] of wrong) expect(() => new SlotCrew({ ...base, ...options })).toThrow(words)
})
