import { EventEmitter } from 'node:events'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, vi } from 'vitest'
import { StartFailedError } from './errors.js'
import type { LifeNews } from './life-news.js'
import { runUntilSignal, type RunUntilSignalOptions } from './run-until-signal.js'
import type { Part, ShutdownReport } from './shutdown.js'

/** A process of which only the signals are real. */
class FakeProcess extends EventEmitter {
  exitCode: number | undefined
  get listening(): number {
    return this.eventNames().length
  }
  kill(signal: NodeJS.Signals): void {
    this.emit(signal, signal)
  }
  exit(code: number): void {
    this.exitCode = code
  }
}

/** Parts that write down what they are asked, and may misbehave. */
function crew() {
  const story: string[] = []
  const part = (name: string, overrides: Partial<Part> = {}): Part => ({
    name,
    start: () => void story.push(`start ${name}`),
    readiness: { off: () => void story.push(`readiness off ${name}`) },
    drain: () => void story.push(`drain ${name}`),
    stop: () => void story.push(`stop ${name}`),
    ...overrides,
  })
  return { story, part }
}

function run(parts: readonly Part[], options: RunUntilSignalOptions = {}) {
  const clock = new FakeClock()
  const host = new FakeProcess()
  const running = runUntilSignal(parts, { clock, process: host, ...options })
  let report: ShutdownReport | undefined
  running.then(
    (ended) => (report = ended),
    () => {},
  )
  return { clock, host, running, report: () => report }
}

function hang(): Promise<never> {
  return new Promise(() => {})
}

describe('a run that goes well', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('starts in order, waits, and on %s ends in order', async (signal) => {
    const { story, part } = crew()
    const { clock, host, running, report } = run([part('storage'), part('bot')])
    await clock.advance(3_600_000)
    expect(story.splice(0)).toEqual(['start storage', 'start bot'])
    expect(report()).toBeUndefined()
    host.kill(signal)
    expect(await running).toEqual({ cause: signal, stopped: ['bot', 'storage'], left: [], problems: [] })
    expect(story).toEqual([
      'readiness off storage',
      'readiness off bot',
      'drain storage',
      'drain bot',
      'stop bot',
      'stop storage',
    ])
    expect([host.listening, clock.pending]).toEqual([0, 0])
  })

  it('waits for each step before the next begins', async () => {
    const { story, part } = crew()
    const clock = new FakeClock()
    const slowly = (what: string) => async (): Promise<void> => {
      await new Promise<void>((resolve) => void clock.after(100, resolve))
      story.push(what)
    }
    const parts = [
      part('a', { start: slowly('a started'), drain: slowly('a drained'), stop: slowly('a stopped') }),
      part('b', { start: slowly('b started'), drain: slowly('b drained'), stop: slowly('b stopped') }),
    ]
    const { host, running } = run(parts, { clock })
    await clock.advance(200)
    host.kill('SIGTERM')
    await clock.advance(300)
    await running
    expect(story.filter((line) => !line.startsWith('readiness'))).toEqual([
      'a started',
      'b started',
      'a drained',
      'b drained',
      'b stopped',
      'a stopped',
    ])
  })

  it('ends by an AbortSignal as well, also by one that was aborted before', async () => {
    const { story, part } = crew()
    const controller = new AbortController()
    const { clock, running } = run([part('bot')], { signal: controller.signal })
    await clock.advance(0)
    controller.abort()
    expect(await running).toMatchObject({ cause: 'abort', stopped: ['bot'] })
    story.splice(0)
    const again = run([part('bot')], { signal: controller.signal })
    expect(await again.running).toEqual({ cause: 'abort', stopped: [], left: [], problems: [] })
    expect(story).toEqual([])
  })

  it('takes parts that have only some of the methods, and calls classes by their names', async () => {
    class Journal {
      readonly #path = 'x'
      stop(): string {
        return this.#path
      }
    }
    const { clock, host, running } = run([new Journal(), { start: () => {} }, { stop: () => {} }])
    await clock.advance(0)
    host.kill('SIGTERM')
    expect((await running).stopped).toEqual(['part 3', 'Journal'])
  })
})

describe('options', () => {
  it('dispose of what has no stop()', async () => {
    const { story, part } = crew()
    const disposable = { name: 'a', [Symbol.asyncDispose]: async () => void story.push('dispose of a') }
    const synchronous = { name: 'b', [Symbol.dispose]: () => void story.push('dispose of b') }
    const both = part('c', { [Symbol.asyncDispose]: () => void story.push('dispose of c') })
    const { clock, host, running } = run([disposable, synchronous, both])
    await clock.advance(0)
    host.kill('SIGTERM')
    expect((await running).stopped).toEqual(['c', 'b', 'a'])
    expect(story.slice(-3)).toEqual(['stop c', 'dispose of b', 'dispose of a'])
  })

  it('give draining as much of the time as they say', async () => {
    const { part } = crew()
    const { clock, host, running } = run([part('a', { drain: hang })], { timeoutMs: 10_000, drainMs: 9_000 })
    await clock.advance(0)
    host.kill('SIGTERM')
    await clock.advance(9_000)
    expect((await running).problems).toEqual([{ part: 'a', step: 'drain', why: 'it had not finished after 9000 ms' }])
  })

  it('choose the signals', async () => {
    const { part } = crew()
    const { clock, host, running } = run([part('a')], { signals: ['SIGHUP'] })
    await clock.advance(0)
    expect(host.eventNames()).toEqual(['SIGHUP'])
    host.kill('SIGHUP')
    expect((await running).cause).toBe('SIGHUP')
  })

  it.each([
    [{}, 0],
    [{ stop: hang }, 1],
  ])('end the process: with %o by %i', async (overrides, code) => {
    const { part } = crew()
    const { clock, host, running } = run([part('a', overrides)], { exit: true })
    await clock.advance(0)
    host.kill('SIGTERM')
    await clock.advance(10_000)
    await running
    expect(host.exitCode).toBe(code)
  })

  it('leave a crash to Node, unless they ask for it', async () => {
    const { part } = crew()
    const { clock, host } = run([part('a')])
    await clock.advance(0)
    expect(host.eventNames()).toEqual(['SIGTERM', 'SIGINT'])
  })

  it.each(['uncaughtException', 'unhandledRejection'])('end well what crashed by an %s', async (event) => {
    const { story, part } = crew()
    const { clock, host, running } = run([part('a')], { catchCrashes: true, exit: true })
    await clock.advance(0)
    const error = new Error('x is not a function')
    host.emit(event, error)
    host.emit(event, new Error('and another'))
    expect(await running).toEqual({ cause: 'crash', stopped: ['a'], left: [], problems: [], error })
    expect([story.slice(-2), host.exitCode, host.listening]).toEqual([['drain a', 'stop a'], 1, 0])
  })

  it('do not take a further crash for a further signal, which would end all waiting', async () => {
    const { part } = crew()
    const clock = new FakeClock()
    const flush = (): Promise<void> => new Promise((resolve) => void clock.after(2_000, resolve))
    const { host, running } = run([part('journal', { stop: flush })], { catchCrashes: true, clock })
    await clock.advance(0)
    host.emit('uncaughtException', new Error('boom'))
    await clock.advance(1_000)
    host.emit('uncaughtException', new Error('and another'))
    await clock.advance(1_000)
    expect((await running).left).toEqual([])
  })

  it('tell of every crash, with what was thrown, also of one that comes while everything ends', async () => {
    const { part } = crew()
    const news: LifeNews[] = []
    const clock = new FakeClock()
    const flush = (): Promise<void> => new Promise((resolve) => void clock.after(2_000, resolve))
    const options = { catchCrashes: true, clock, onNews: (each: LifeNews) => void news.push(each) }
    const { host, running } = run([part('journal', { stop: flush })], options)
    await clock.advance(0)
    host.kill('SIGTERM')
    await clock.advance(1_000)
    const error = new Error('boom')
    host.emit('unhandledRejection', error)
    await clock.advance(1_000)
    expect(await running).toEqual({ cause: 'SIGTERM', stopped: ['journal'], left: [], problems: [], error })
    const crash = news.find(({ severity }) => severity === 'CRITICAL')
    expect(crash).toMatchObject({ message: 'It crashed while everything ended: boom.', error })
  })

  it('let no crash pass in silence: without a listener it becomes a warning of the process', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { part } = crew()
    const { clock, host, running } = run([part('a')], { catchCrashes: true })
    await clock.advance(0)
    host.emit('uncaughtException', new Error('boom'))
    await running
    const detail = expect.stringMatching(/^Error: boom\n +at /) as unknown
    expect(warn.mock.calls).toEqual([['Everything ends: crash: boom.', expect.objectContaining({ detail }) as unknown]])
    warn.mockRestore()
  })

  it('may give a listener that rejects, which harms nobody', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { part } = crew()
    const onNews = (() => Promise.reject(Object.create(null) as Error)) as () => void
    const { clock, host, running } = run([part('a')], { onNews })
    await clock.advance(0)
    host.kill('SIGTERM')
    expect((await running).stopped).toEqual(['a'])
    await clock.advance(0)
    expect(warn.mock.calls[0]?.[0]).toBe('The listener onNews of runUntilSignal threw: it failed without saying why')
    warn.mockRestore()
  })

  it('tell what happens', async () => {
    const { part } = crew()
    const news: LifeNews[] = []
    const parts = [part('a'), part('b', { drain: () => Promise.reject(new Error('no')), stop: hang })]
    const { clock, host, running } = run(parts, { onNews: (each) => void news.push(each), timeoutMs: 1_000 })
    await clock.advance(0)
    host.kill('SIGTERM')
    await clock.advance(1_000)
    await running
    expect(news.map(({ severity, message }) => `${severity} ${message}`)).toEqual([
      'INFO a runs (took 0 ms).',
      'INFO b runs (took 0 ms).',
      'INFO All 2 parts run.',
      'INFO Everything ends: SIGTERM.',
      'INFO a has drained (took 0 ms).',
      'WARNING b did not end well (drain): no.',
      'WARNING b did not end well (stop): it had not finished after 500 ms.',
      'INFO a has stopped (took 0 ms).',
      'WARNING The run is over: left running: b.',
    ])
    expect(news[0]).toEqual({
      what: 'a',
      from: 'new',
      to: 'running',
      at: clock.now() - 1_000,
      why: 'took 0 ms',
      severity: 'INFO',
      message: 'a runs (took 0 ms).',
    })
  })
})

describe('parts that misbehave', () => {
  it('throw, and keep no other from stopping', async () => {
    const { story, part } = crew()
    const fail = (): never => {
      throw new Error('broken')
    }
    const parts = [part('a'), part('b', { readiness: { off: fail }, drain: fail, stop: async () => fail() }), part('c')]
    const { clock, host, running } = run(parts)
    await clock.advance(0)
    host.kill('SIGTERM')
    expect(await running).toEqual({
      cause: 'SIGTERM',
      stopped: ['c', 'a'],
      left: ['b'],
      problems: [
        { part: 'b', step: 'readiness', why: 'broken' },
        { part: 'b', step: 'drain', why: 'broken' },
        { part: 'b', step: 'stop', why: 'broken' },
      ],
    })
    expect(story).toContain('stop a')
  })

  it('have something called stop that is none, and keep no other from being stopped', async () => {
    const { part } = crew()
    const { clock, host, running } = run([part('a'), part('b', { stop: true as never })])
    await clock.advance(0)
    host.kill('SIGTERM')
    expect(await running).toMatchObject({ stopped: ['a'], left: [] })
  })

  it('hang, and keep no other from being stopped within the deadline', async () => {
    const { part } = crew()
    let drainSignal: AbortSignal | undefined
    const drain = ({ signal }: { signal: AbortSignal }): Promise<never> => {
      drainSignal = signal
      return hang()
    }
    const { clock, host, running, report } = run([part('a'), part('b', { stop: hang, drain }), part('c')])
    await clock.advance(0)
    host.kill('SIGTERM')
    await clock.advance(4_999)
    expect(drainSignal?.aborted).toBe(false)
    await clock.advance(5_001)
    expect(drainSignal?.aborted).toBe(true)
    expect(report()).toBeDefined()
    expect(await running).toEqual({
      cause: 'SIGTERM',
      stopped: ['c', 'a'],
      left: ['b'],
      problems: [
        { part: 'b', step: 'drain', why: 'it had not finished after 5000 ms' },
        { part: 'b', step: 'stop', why: 'it had not finished after 2500 ms' },
      ],
    })
    expect(clock.pending).toBe(0)
  })

  it('all hang, and all are asked to stop within the deadline', async () => {
    const { story, part } = crew()
    const names = ['a', 'b', 'c', 'd']
    const parts = names.map((name) =>
      part(name, {
        readiness: { off: hang },
        drain: hang,
        stop: () => {
          story.push(`stop ${name}`)
          return hang()
        },
      }),
    )
    const { clock, host, report } = run(parts, { timeoutMs: 1_000 })
    await clock.advance(0)
    host.kill('SIGTERM')
    await clock.advance(1_000)
    expect(story.slice(4)).toEqual(['stop d', 'stop c', 'stop b', 'stop a'])
    expect(report()?.left).toEqual(['d', 'c', 'b', 'a'])
  })

  it('are waited for although the same Ctrl-C comes twice, from the terminal and from a runner such as tsx', async () => {
    const { story, part } = crew()
    const clock = new FakeClock()
    const flush = async (): Promise<void> => {
      await new Promise<void>((resolve) => void clock.after(1_000, resolve))
      story.push('flushed')
    }
    const { host, running } = run([part('journal', { stop: flush })], { clock })
    await clock.advance(0)
    host.kill('SIGINT')
    await clock.advance(499)
    host.kill('SIGINT')
    await clock.advance(1_000)
    expect(await running).toEqual({ cause: 'SIGINT', stopped: ['journal'], left: [], problems: [] })
    expect(story.at(-1)).toBe('flushed')
  })

  it('are not waited for after a second signal, but still asked to stop', async () => {
    const { story, part } = crew()
    const { clock, host, running } = run([part('a'), part('b', { stop: hang }), part('c', { drain: hang })])
    await clock.advance(0)
    host.kill('SIGINT')
    await clock.advance(500)
    host.kill('SIGINT')
    await clock.advance(0)
    expect(await running).toEqual({
      cause: 'SIGINT',
      stopped: ['c', 'a'],
      left: ['b'],
      problems: [
        { part: 'c', step: 'drain', why: 'it had not finished when a further signal came' },
        { part: 'b', step: 'stop', why: 'it had not finished when a further signal came' },
      ],
    })
    expect(story).toContain('stop a')
    expect([host.listening, clock.pending]).toEqual([0, 0])
  })
})

describe('a start that goes wrong', () => {
  it('stops what had started, in reverse, and rejects with the cause', async () => {
    const { story, part } = crew()
    const cause = new Error('port in use')
    const { host, running, clock } = run([
      part('a'),
      part('b'),
      part('c', { start: () => Promise.reject(cause) }),
      part('d'),
    ])
    const error = (await running.catch((reason: unknown) => reason)) as StartFailedError
    expect(error).toBeInstanceOf(StartFailedError)
    expect(error).toMatchObject({
      code: 'START_FAILED',
      part: 'c',
      cause,
      report: { cause: 'start-failed', stopped: ['b', 'a'], left: [] },
      message: 'c did not start: port in use; the parts before it were asked to stop, all of them stopped',
    })
    expect(story).toEqual(['start a', 'start b', 'stop b', 'stop a'])
    expect([host.listening, clock.pending]).toEqual([0, 0])
  })

  it('is not waited for when a signal comes: the part is stopped, and no other started', async () => {
    const { story, part } = crew()
    const { clock, host, running } = run([part('a'), part('b', { start: hang }), part('c')])
    await clock.advance(0)
    host.kill('SIGTERM')
    expect((await running).stopped).toEqual(['b', 'a'])
    expect(story).not.toContain('start c')
  })

  it('may fail after it was given up, without an unhandled rejection', async () => {
    const { part } = crew()
    let fail!: (error: Error) => void
    const start = (): Promise<never> => new Promise((_, reject) => (fail = reject))
    const { clock, host, running } = run([part('a', { start })])
    await clock.advance(0)
    host.kill('SIGTERM')
    await running
    fail(new Error('too late'))
    await clock.advance(0)
  })

  it('needs only one signal to end the waiting, since it is ending already', async () => {
    const { part } = crew()
    const start = (): never => {
      throw new Error('no')
    }
    const { clock, host, running } = run([part('a', { stop: hang }), part('b', { start })])
    await clock.advance(0)
    host.kill('SIGINT')
    await expect(running).rejects.toThrow('still running: a')
  })
})

it.each([
  [[undefined], {}, TypeError],
  [[() => {}, 'bot'], {}, TypeError],
  [[], { timeoutMs: 0 }, RangeError],
  [[], { timeoutMs: NaN }, RangeError],
  [[], { timeout: 5 }, TypeError],
  [[], { drainMs: 20_000 }, RangeError],
  [[], { drainMs: -1 }, RangeError],
  [[], { signals: ['TERM'] }, TypeError],
  [[], { signals: 'SIGTERM' }, TypeError],
  [[], { exit: 1 }, TypeError],
  [[], { signal: {} }, TypeError],
  [[], { onNews: 'log' }, TypeError],
  [[], { timeoutMs: '5s' }, TypeError],
  [undefined, {}, TypeError],
  [{ start: () => {} }, {}, TypeError],
])('refuses %o with %o, and listens to nothing', async (parts, options, kind) => {
  const { host, running } = run(parts as never, options as never)
  await expect(running).rejects.toThrow(kind)
  expect(host.listening).toBe(0)
})
