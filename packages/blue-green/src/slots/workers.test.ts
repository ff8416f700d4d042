import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { FakeClock } from '@evenkeel/testing'
import { bundleChild } from '../test-support/bundle-child.js'
import { beOdd } from '../test-support/odd-versions.js'
import { oddVersionContract, slotContract } from '../test-support/slot-contract.js'
import type { Task } from '../test-support/slot-worker-child.js'
import {
  childProcessSlot,
  workerThreadSlot,
  type Slot,
  type SlotDeath,
  type WorkerSlotOptions,
} from '../slots-workers.js'
import { protocol } from './wire.js'
import { readWorkerOptions } from './worker-options.js'
import { WorkerSlot } from './worker-slot.js'

const program = bundleChild('slot-worker-child.ts')
const owner = bundleChild('slot-owner-child.ts')
afterAll(() => {
  program[Symbol.dispose]()
  owner[Symbol.dispose]()
})

interface Answer {
  readonly id: string
  readonly isRepeat: boolean
  readonly pid: number
}
type Options = Partial<WorkerSlotOptions<Task>>

const kinds = { process: childProcessSlot, thread: workerThreadSlot }
const base = { entry: program.file, effects: 'stored', execArgv: [], stopTimeoutMs: 400 } as const

function make(kind: keyof typeof kinds, options: Options = {}): Slot<Task, Answer> & { deaths: SlotDeath[] } {
  const slot = kinds[kind]<Task, Answer>({ ...base, ...options })
  onTestFinished(() => slot.stop())
  const deaths: SlotDeath[] = []
  slot.onDeath((death) => deaths.push(death))
  return Object.assign(slot, { deaths })
}

function folder(): { path: string; log: string; lines: () => string[] } {
  const path = mkdtempSync(join(tmpdir(), 'evenkeel-slots-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  const log = join(path, 'log')
  writeFileSync(log, '')
  return { path, log, lines: () => readFileSync(log, 'utf8').split('\n').slice(0, -1) }
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )

async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe.each(['process', 'thread'] as const)('a version in a %s', (kind) => {
  slotContract(() => kinds[kind]<Task, unknown>(base))
  oddVersionContract(() => kinds[kind]<Task, unknown>(base))

  it.each([
    ['exit', /ended with code 7, before it had called serveVersion/],
    ['throw', kind === 'process' ? /ended with code 1/ : /no database/],
  ])('that ends at its start (%s) is told by start() at once, and is no death', async (how, why) => {
    const slot = make(kind, { args: [how] })
    const error = await failure(slot.start())
    expect(error).toMatchObject({ code: 'SLOT_START', applied: 'no' })
    expect(String(error)).toMatch(why)
    expect(slot.deaths).toEqual([])
    expect(slot.health?.()).toBe('down')
  })

  it.each([join(tmpdir(), 'nope.mjs'), pathToFileURL(join(tmpdir(), 'nope.mjs')), `file://${tmpdir()}/nope.mjs`])(
    'whose file is missing says so: %s',
    async (entry) => {
      const slot = kinds[kind]<Task, unknown>({ ...base, entry })
      expect(String(await failure(slot.start()))).toContain(join(tmpdir(), 'nope.mjs'))
    },
  )

  it.each(['file://host/v2.mjs', new URL('file:///v%2F2.mjs')])(
    'whose file cannot be named says so, and is stopped like any other: %s',
    async (entry) => {
      const slot = kinds[kind]<Task, unknown>({ ...base, entry })
      expect(String(await failure(slot.start()))).toContain('it could not be started')
      await slot.stop()
    },
  )

  it('that never becomes ready is ended when its time is up', async () => {
    const slot = make(kind, { args: ['silent'], startTimeoutMs: 300 })
    const early = failure(slot.handle({ id: '1' }))
    const start = slot.start()
    const waiting = failure(slot.handle({ id: '2' }))
    expect(await failure(start)).toMatchObject({
      code: 'SLOT_START',
      why: 'it had not called serveVersion within 300 ms',
    })
    expect(await early).toMatchObject({ code: 'NOT_BEGUN' })
    expect(await waiting).toMatchObject({ code: 'NOT_BEGUN' })
  })

  it('that is not there is told by start()', async () => {
    expect(await failure(make(kind, { entry: '/no/such/file.mjs' }).start())).toMatchObject({ code: 'SLOT_START' })
  })

  it('takes events that come while it starts', async () => {
    const slot = make(kind)
    const start = slot.start()
    expect(await slot.handle({ id: '1' })).toMatchObject({ id: '1' })
    await start
  })

  it('is stopped while it starts, and started again', async () => {
    const slot = make(kind, { args: ['silent'], stopTimeoutMs: 200 })
    const start = failure(slot.start())
    await slot.stop()
    expect(await start).toMatchObject({ code: 'SLOT_START', why: 'stop() was called' })
    const aborting = new AbortController()
    const again = failure(slot.start({ signal: aborting.signal }))
    aborting.abort(new Error('enough'))
    expect(await again).toMatchObject({ code: 'SLOT_START' })
  })

  it.each(['stored', 'keyed', 'atLeastOnce', 'atMostOnce'] as const)(
    'that ends over an event leaves its outcome unknown, to be repeated or not: %s',
    async (effects) => {
      const slot = make(kind, { effects })
      await slot.start()
      expect(await failure(slot.handle({ id: '1', does: 'exit' }))).toMatchObject({
        code: 'OUTCOME_UNKNOWN',
        applied: 'unknown',
        retryable: effects !== 'atMostOnce',
      })
      expect(slot.deaths).toMatchObject([{ why: 'it ended with code 3', begun: 1, notBegun: 0 }])
      expect(slot.health?.()).toBe('down')
      await slot.start()
      expect(await slot.handle({ id: '2' })).toMatchObject({ id: '2' })
    },
  )

  it('that hangs is ended, and what it had not begun is given back', async () => {
    const { log, lines } = folder()
    const slot = make(kind, { args: ['serve', log], heartbeatMs: 50, hungAfterMs: 200 })
    await slot.start()
    const first = failure(slot.handle({ id: '1', does: 'block' }))
    // Two that arrive together may both be told to have begun before the first one blocks.
    await until(() => lines().length > 0)
    const second = failure(slot.handle({ id: '2' }))
    expect(await first).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    const whyHung = 'it gave no sign of life for 200 ms'
    expect(await second).toMatchObject({ code: 'NOT_BEGUN', message: expect.stringContaining(whyHung) as string })
    expect(slot.deaths).toMatchObject([{ why: whyHung, begun: 1, notBegun: 1 }])
  })

  it('has no more events at once than it may', async () => {
    const slot = make(kind, { maxInFlight: 2 })
    await slot.start()
    const held = [failure(slot.handle({ id: '1', does: 'hang' })), failure(slot.handle({ id: '2', does: 'hang' }))]
    expect(await failure(slot.handle({ id: '3' }))).toMatchObject({ code: 'SHED', retryAfterMs: 1_000, applied: 'no' })
    await slot.stop()
    expect(await Promise.all(held)).toHaveLength(2)
  })

  it('is not waited for longer than an answer may take, and nobody else runs it', async () => {
    const slot = make(kind, { answerTimeoutMs: 100, heartbeatMs: 50, hungAfterMs: 10_000 })
    await slot.start()
    expect(await failure(slot.handle({ id: '1', does: 'hang' }))).toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      retryable: false,
    })
    expect(slot.health?.()).not.toBe('down')
    expect(await slot.drain({ timeoutMs: 50 })).toMatchObject({ drained: false, running: 1 })
  })

  it('has room again for each event that is not waited for any more, and still counts what may run', async () => {
    const slot = make(kind, { maxInFlight: 1, answerTimeoutMs: 100, heartbeatMs: 50, hungAfterMs: 10_000 })
    await slot.start()
    for (const id of ['1', '2']) {
      expect(await failure(slot.handle({ id, does: 'hang' }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    }
    expect(await slot.handle({ id: '3' })).toMatchObject({ id: '3' })
    expect(await slot.drain({ timeoutMs: 50 })).toMatchObject({ drained: false, running: 2 })
  })

  it.each([
    ['proxy', 'the answer.member is a Proxy'],
    ['fickle', 'the answer cannot be sent to another process'],
  ] as const)('survives an answer that cannot be sent (%s), and runs the event once', async (does, words) => {
    const { log, lines } = folder()
    const slot = make(kind, { args: ['serve', log] })
    await slot.start()
    const error = await failure(slot.handle({ id: '1', does }))
    expect(error).toMatchObject({ name: 'TypeError' })
    expect(String(error)).toContain(words)
    expect(String(error)).toContain('the event is done all the same; return plain data, or nothing')
    expect(await slot.handle({ id: '2' })).toMatchObject({ id: '2' })
    expect(slot.deaths).toEqual([])
    expect(lines()).toEqual(['begun 1 false', 'begun 2 false'])
    expect(await slot.drain()).toMatchObject({ drained: true })
  })

  it.each([
    ['proxy', 'event.value.member is a Proxy'],
    ['fickle', 'event cannot be sent to another process'],
  ] as const)('has not begun an event that cannot be sent (%s), and has room for others', async (does, words) => {
    const { log, lines } = folder()
    const slot = make(kind, { args: ['serve', log], maxInFlight: 1 })
    await slot.start()
    for (const id of ['1', '2']) {
      const error = await failure(slot.handle({ id, value: beOdd(does) }))
      expect(error).toBeInstanceOf(TypeError)
      expect(String(error)).toContain(words)
      expect(String(error)).toContain('pick plain data with the option toWire')
    }
    expect(await slot.handle({ id: '3' })).toMatchObject({ id: '3' })
    expect(lines()).toEqual(['begun 3 false'])
    expect(await slot.drain()).toEqual({ drained: true, running: 0 })
  })

  it.each([
    { type: 'failure', n: 1 },
    { type: 'failure', n: 1, error: 'text' },
    { type: 'failure', n: 1, error: { name: 'Error', message: 'text', code: { toString: 1 } } },
    { type: 'answer' },
    { type: 'begun', n: 'one' },
    { type: 'ready', protocol: { toString: 1 } },
    { type: 'pong', memory: null },
    { type: 'pong', memory: { ageMs: 1, bytes: 'many' } },
    { type: 'pong', memory: { ageMs: NaN, bytes: 1 } },
    { type: 'drained', why: 5 },
    { type: 'news' },
    {},
  ])('that sends what no version sends is ended, and this process lives: %j', async (said) => {
    const slot = make(kind)
    const readings: unknown[] = []
    slot.onMemory?.((reading) => readings.push(reading))
    await slot.start()
    const error = await failure(slot.handle({ id: '1', does: 'say', value: { evenkeel: 1, ...said } }))
    expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN', retryable: true })
    expect(slot.deaths).toMatchObject([
      { why: expect.stringMatching(/^it sent a message that no version sends/) as string },
    ])
    expect(readings).toEqual([])
    await slot.start()
    expect(await slot.handle({ id: '2' })).toMatchObject({ id: '2' })
  })

  it('finishes what runs, does its onDrain, and ends', async () => {
    const { path, log, lines } = folder()
    const slot = make(kind, { args: ['serve', log] })
    await slot.start()
    const gate = join(path, 'gate')
    const answer = slot.handle({ id: '1', does: 'hold', until: gate })
    await until(() => lines().length > 0)
    const drain = slot.drain()
    writeFileSync(gate, '')
    expect(await drain).toEqual({ drained: true, running: 0 })
    expect(await answer).toMatchObject({ id: '1' })
    expect(lines()).toEqual(['begun 1 false', 'done 1', 'onDrain'])
    // Past its onDrain it cannot be taken back: it starts anew.
    await slot.start()
    expect(await slot.handle({ id: '2' })).toMatchObject({ id: '2' })
  })

  it.each([
    ['slow-drain', 'it was not done with its onDrain within 100 ms'],
    ['failing-drain', 'its onDrain failed: the disk is full'],
  ])('is not drained when its onDrain is not (%s)', async (how, why) => {
    const slot = make(kind, { args: [how] })
    await slot.start()
    expect(await slot.drain({ timeoutMs: how === 'slow-drain' ? 100 : 60_000 })).toEqual({
      drained: false,
      running: 0,
      why,
    })
  })

  it('answers what runs before it ends, when it is stopped', async () => {
    const { path, log, lines } = folder()
    const slot = make(kind, { args: ['serve', log], stopTimeoutMs: 15_000 })
    await slot.start()
    const answer = slot.handle({ id: '1', does: 'hold', until: join(path, 'gate') })
    await until(() => lines().length > 0)
    const stop = slot.stop()
    writeFileSync(join(path, 'gate'), '')
    expect(await answer).toMatchObject({ id: '1' })
    await stop
    expect(slot.deaths).toEqual([])
  })
})

describe('a process', () => {
  const pidOf = async (slot: Slot<Task, Answer>): Promise<number> => (await slot.handle({ id: 'pid' })).pid

  it('that is killed between events gives back the next one, or has not had it', async () => {
    const slot = make('process')
    await slot.start()
    process.kill(await pidOf(slot), 'SIGKILL')
    expect(await failure(slot.handle({ id: '1' }))).toMatchObject({ code: 'NOT_BEGUN' })
    await until(() => slot.deaths.length > 0)
    expect(slot.deaths).toMatchObject([{ why: 'it was ended by SIGKILL', begun: 0 }])
  })

  it('that is killed over an event has begun it', async () => {
    const slot = make('process')
    await slot.start()
    expect(await failure(slot.handle({ id: '1', does: 'kill' }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  })

  it('that is frozen has begun nothing since, and does nothing later', async () => {
    const { log, lines } = folder()
    const slot = make('process', { args: ['serve', log], heartbeatMs: 50, hungAfterMs: 200 })
    await slot.start()
    const pid = await pidOf(slot)
    process.kill(pid, 'SIGSTOP')
    const events = Array.from({ length: 50 }, (_, i) =>
      failure(slot.handle({ id: String(i), value: 'x'.repeat(10_000) })),
    )
    for (const error of await Promise.all(events)) expect(error).toMatchObject({ code: 'NOT_BEGUN' })
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(lines()).toEqual(['begun pid false'])
  })

  it('that is killed while it is drained leaves what ran unknown', async () => {
    const { path, log, lines } = folder()
    const slot = make('process', { args: ['serve', log] })
    await slot.start()
    const pid = await pidOf(slot)
    const running = failure(slot.handle({ id: '1', does: 'hold', until: join(path, 'never') }))
    await until(() => lines().length > 1)
    const drain = slot.drain()
    process.kill(pid, 'SIGKILL')
    expect(await running).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(await drain).toMatchObject({ drained: false, running: 0 })
    expect(slot.deaths).toHaveLength(1)
  })

  it('is not ended by signals from outside while its owner lives', async () => {
    const slot = make('process')
    await slot.start()
    const pid = await pidOf(slot)
    process.kill(pid, 'SIGINT')
    process.kill(pid, 'SIGTERM')
    expect(await pidOf(slot)).toBe(pid)
  })

  it('may have its own SIGTERM, which stop() sends', async () => {
    const { log, lines } = folder()
    const slot = make('process', { args: ['own-sigterm', log] })
    await slot.start()
    await slot.stop()
    expect(lines()).toEqual(['own SIGTERM'])
  })

  it('is killed when it does not end', async () => {
    const slot = make('process', { stopTimeoutMs: 100, heartbeatMs: 10_000, hungAfterMs: 60_000 })
    await slot.start()
    const pid = await pidOf(slot)
    const running = failure(slot.handle({ id: '1', does: 'block' }))
    await slot.stop()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(await running).toMatchObject({ applied: 'unknown' })
  })

  it('has the environment of its owner, or the one that it is given', async () => {
    const slot = make('process', { env: { ONLY: 'this' } })
    await slot.start()
    expect(await slot.handle({ id: '1' })).toMatchObject({ id: '1' })
  })

  it.each(['serve', 'silent'])('ends when its owner is killed (%s), and finishes what runs', async (how) => {
    const { path, log, lines } = folder()
    const child = spawn(process.execPath, [owner.file, program.file, how, log, join(path, 'gate')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [pid] = (await once(createInterface(child.stdout), 'line')) as [string]
    if (how === 'serve') await until(() => lines().includes('begun held false'))
    child.kill('SIGKILL')
    await once(child, 'exit')
    writeFileSync(join(path, 'gate'), '')
    const isGone = (): boolean => {
      try {
        process.kill(Number(pid), 0)
        return false
      } catch {
        return true
      }
    }
    await until(isGone)
    expect(lines().includes('done held')).toBe(how === 'serve')
  })
})

describe('a slot', () => {
  /** A worker that is ready at once, answers when it is told to, and takes a second to end. */
  function playWorker() {
    const clock = new FakeClock()
    let answer!: (n: number) => void
    let isHeld = false
    let lives = 0
    const settings = readWorkerOptions('slot', { ...base, answerTimeoutMs: 1_000, drainMs: 3_000, clock })
    const slot = new WorkerSlot<Task, unknown>(settings, (hooks) => {
      lives += 1
      const say = (message: object): void => queueMicrotask(() => hooks.heard({ evenkeel: 1, ...message }))
      const end = (): void => void clock.after(1_000, () => hooks.gone({ why: 'it was asked to', isCertain: true }))
      answer = (n) => say({ type: 'answer', n, answer: n })
      say({ type: 'ready', protocol })
      return {
        send: ({ type }) => {
          if (type === 'ping') say({ type: 'pong' })
          if (type === 'drain') say({ type: 'drained', why: undefined })
        },
        end,
        kill: end,
        hold: (is) => (isHeld = is),
      }
    })
    return {
      slot,
      clock,
      answer: (n: number) => answer(n),
      get isHeld() {
        return isHeld
      },
      get lives() {
        return lives
      },
    }
  }

  it('keeps its process alive for an event as long as somebody waits for the answer', async () => {
    const played = playWorker()
    const { slot, clock } = played
    await slot.start()
    const first = failure(slot.handle({ id: '1' }))
    await clock.advance(600)
    const second = failure(slot.handle({ id: '2' }))
    await clock.advance(600)
    expect(await first).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(played.isHeld).toBe(true)
    await clock.advance(600)
    expect(await second).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(played.isHeld).toBe(false)
    const third = slot.handle({ id: '3' })
    expect(played.isHeld).toBe(true)
    played.answer(3)
    expect([await third, played.isHeld]).toEqual([3, false])
  })

  it('keeps its process alive while it is drained of events that nobody waits for any more', async () => {
    const played = playWorker()
    const { slot, clock } = played
    await slot.start()
    const late = failure(slot.handle({ id: '1' }))
    const drained = slot.drain()
    await clock.advance(2_000)
    expect([played.isHeld, await late]).toMatchObject([true, { code: 'OUTCOME_UNKNOWN' }])
    await slot.start()
    expect(played.isHeld).toBe(false)
    expect(await drained).toMatchObject({ drained: false, running: 1 })
  })

  it('starts nothing when its start is aborted while its former life ends', async () => {
    const played = playWorker()
    const { slot, clock } = played
    await slot.start()
    await slot.drain()
    const aborting = new AbortController()
    const started = failure(slot.start({ signal: aborting.signal }))
    await clock.advance(500)
    aborting.abort(new Error('enough'))
    await clock.advance(5_000)
    expect(await started).toMatchObject({ message: 'enough' })
    expect([played.lives, slot.health()]).toEqual([1, 'down'])
  })
})

it('options that make no sense are refused, with the remedy', () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ effects: undefined }, 'needs effects, one of stored, keyed, atMostOnce, atLeastOnce'],
    [{ effects: 'maybe' }, 'not maybe'],
    [{ entry: 5 }, 'entry of childProcessSlot must be'],
    [{ heartbeat: 5 }, 'has no option "heartbeat"'],
    [{ heartbeatMs: 600 }, 'must be at least twice heartbeatMs 600'],
    [{ startTimeoutMs: NaN }, 'startTimeoutMs must be milliseconds'],
    [{ maxInFlight: 0 }, 'maxInFlight must be a whole number from 1'],
    [{ toWire: 'id' }, 'toWire of childProcessSlot must be a function'],
    [{ name: '' }, 'name of childProcessSlot'],
    [{ restarts: { max: 1 } }, 'has no option "max"'],
    [{ restarts: 3 }, 'restarts of childProcessSlot must be an object such as { maxRestarts: 5 }, not 3'],
    [{ args: 'old' }, 'args of childProcessSlot must be a list of strings'],
    [{ execArgv: [1] }, 'execArgv of childProcessSlot must be a list of strings'],
    [{ env: 'A=1' }, 'env of childProcessSlot must be an object of strings'],
    [{ env: { A: undefined, B: 1 } }, 'env of childProcessSlot: B is a number; write it as a string'],
    [{ cwd: 5 }, 'cwd of childProcessSlot must be a path, not 5'],
    [{ restarts: { maxRestarts: -1 } }, 'restarts.maxRestarts'],
  ]
  for (const [options, words] of wrong) {
    expect(() => childProcessSlot({ ...base, ...options })).toThrow(words)
  }
})
