import { getEventListeners } from 'node:events'
import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'eventemitter3'
import { describe, expect, it } from 'vitest'
import type { ComponentReport } from '../ports.js'
import { Registry } from './registry.js'

interface Speaker {
  say(): Promise<string>
}

const speaker = (words: string): Speaker => ({ say: async () => words })

describe('a listener that switches again', () => {
  it('does not turn the order of the news around for those after it', () => {
    const registry = new Registry<Speaker>({ implementations: { a: { use: speaker('a') }, b: { use: speaker('b') } } })
    registry.on('change', ({ to }) => {
      if (to === 'b') registry.use('a', { why: 'back at once' })
    })
    const heard: string[] = []
    registry.on('change', ({ from, to }) => heard.push(`${from} to ${to}`))
    registry.use('b', { why: 'a trial' })
    expect(heard).toEqual(['a to b', 'b to a'])
    expect(registry.pick().name).toBe('a')
  })

  it('and throws leaves the next news to everybody', () => {
    const registry = new Registry<Speaker>({ implementations: { a: { use: speaker('a') }, b: { use: speaker('b') } } })
    const heard: string[] = []
    registry.on('change', ({ to }) => {
      heard.push(to)
      if (to === 'b') registry.use('a', { why: 'back at once' })
      throw new Error('a listener')
    })
    registry.use('b', { why: 'a trial' })
    registry.use('b', { why: 'another' })
    expect(heard).toEqual(['b', 'a', 'b', 'a'])
  })
})

describe('an implementation', () => {
  it('may have a property that cannot be read yet', async () => {
    class Client implements Speaker {
      get connection(): never {
        throw new Error('connect first')
      }
      async say(): Promise<string> {
        return 'connected'
      }
    }
    const registry = new Registry<Speaker>({ implementations: { client: { use: new Client() } } })
    expect(Object.keys(registry.port)).toEqual(['say'])
    expect(await registry.port.say()).toBe('connected')
  })

  it('that loses a function fails the call, and is not taken for one that answers with nothing', async () => {
    const use: Partial<Speaker> = speaker('a')
    const registry = new Registry<Speaker>({ implementations: { a: { use: use as Speaker } } })
    delete use.say
    await expect(registry.port.say()).rejects.toThrow(TypeError)
    await registry.drained('a', { timeoutMs: 1 })
  })

  it('that throws before it gives a promise rejects, and its place in the count is free again', async () => {
    const use: Speaker = {
      say: () => {
        throw new Error('not a promise')
      },
    }
    const registry = new Registry<Speaker>({ implementations: { a: { use } } })
    await expect(registry.port.say()).rejects.toThrow('not a promise')
    expect(registry.explain().implementations[0]?.inFlight).toBe(0)
  })

  it('that hangs keeps neither the others nor a switch waiting', async () => {
    const clock = new FakeClock()
    const registry = new Registry<Speaker>({
      clock,
      implementations: { a: { use: { say: () => new Promise<string>(() => {}) } }, b: { use: speaker('b') } },
    })
    void registry.port.say()
    registry.use('b', { why: 'a hangs' })
    expect(await registry.port.say()).toBe('b')
    const drained = expect(registry.drained('a', { timeoutMs: 5_000 })).rejects.toMatchObject({ inFlight: 1 })
    await clock.advance(5_000)
    await drained
  })
})

it('follows a component that flaps: every call goes where it is up, and each turn is told once', async () => {
  class Health extends EventEmitter<{ change: [] }> {
    readonly components = new Map<'a', ComponentReport>([['a', { status: 'up', reason: '' }]])
  }
  const health = new Health()
  const registry = new Registry<Speaker>({
    health: health,
    implementations: { a: { use: speaker('a'), component: 'a' }, b: { use: speaker('b') } },
  })
  await registry.start()
  const news: string[] = []
  registry.on('change', ({ to }) => news.push(to))
  const answers: string[] = []
  for (let turn = 0; turn < 10; turn++) {
    health.components.set('a', { status: turn % 2 === 0 ? 'down' : 'up', reason: '' })
    health.emit('change')
    health.emit('change')
    answers.push(await registry.port.say())
  }
  expect(answers.join('')).toBe('bababababa')
  expect(news.join('')).toBe('bababababa')
  await registry.stop()
})

it('two who switch in the same turn: the later one wins, and both are told', () => {
  const registry = new Registry<Speaker>({
    implementations: { a: { use: speaker('a') }, b: { use: speaker('b') }, c: { use: speaker('c') } },
  })
  const news: string[] = []
  registry.on('change', ({ from, to }) => news.push(`${from} to ${to}`))
  registry.use('b', { why: 'one' })
  registry.use('c', { why: 'two' })
  expect(news).toEqual(['a to b', 'b to c'])
  expect(registry.pick()).toMatchObject({ name: 'c', why: 'set by hand: two' })
})

it('leaves nothing on a signal, nor among those who wait, when a wait is over', async () => {
  const clock = new FakeClock()
  const ends: (() => void)[] = []
  const use = { say: () => new Promise<string>((resolve) => ends.push(() => resolve('done'))) }
  const registry = new Registry<Speaker>({ clock, implementations: { a: { use } } })
  const { signal } = new AbortController()
  const call = registry.port.say()
  const late = expect(registry.drained('a', { timeoutMs: 1_000, signal })).rejects.toThrow()
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  await clock.advance(1_000)
  await late
  expect(getEventListeners(signal, 'abort')).toEqual([])
  ends[0]?.()
  await call
  expect(clock.pending).toBe(0)
})

it('tells nobody of the choice for one guild', async () => {
  const registry = new Registry<Speaker>({
    implementations: { a: { use: speaker('a'), when: ({ guildId }) => guildId !== '7' }, b: { use: speaker('b') } },
  })
  const news: unknown[] = []
  registry.on('change', (change) => news.push(change))
  expect(await registry.port.say()).toBe('a')
  expect(await registry.for({ guildId: '7' }).say()).toBe('b')
  expect(news).toEqual([])
})

it('a choice by hand that replaces another has the end of its own only, however far away', async () => {
  const clock = new FakeClock()
  const implementations = { a: { use: speaker('a') }, b: { use: speaker('b') } }
  const registry = new Registry<Speaker>({ clock, implementations })
  registry.use('b', { why: 'one', forMs: 1_000 })
  registry.use('b', { why: 'two', forMs: 2 ** 31 + 1_000 })
  expect(clock.pending).toBe(1)
  await clock.advance(2 ** 31)
  expect(registry.pick().name).toBe('b')
  await clock.advance(1_000)
  expect(registry.pick().name).toBe('a')
  registry.use('b', { why: 'three', forMs: 1_000 })
  registry.use('b', { why: 'four' })
  expect(clock.pending).toBe(0)
})

it('an isUserError that throws counts as no, so the next implementation is asked', async () => {
  const failing = { say: () => Promise.reject(new Error('a failure')) }
  const registry = new Registry<Speaker>({
    implementations: { a: { use: failing }, b: { use: speaker('b') } },
    idempotent: true,
    isUserError: () => {
      throw new Error('a predicate')
    },
  })
  expect(await registry.port.say()).toBe('b')
})

it('takes its listeners off the flags when it stops, and its port cannot be changed', async () => {
  const flags = new EventEmitter<{ change: [] }>()
  const registry = new Registry<Speaker>({ flags, implementations: { a: { use: speaker('a') } } })
  await registry.start()
  expect(flags.listenerCount('change')).toBe(1)
  await registry.stop()
  expect(flags.listenerCount('change')).toBe(0)
  expect(Object.isFrozen(registry.port)).toBe(true)
})

it('is no promise, though all implementations are, so that awaiting its port calls nobody', async () => {
  const use = { ...speaker('a'), then: () => 'called' }
  const registry = new Registry<Speaker>({ implementations: { a: { use } } })
  expect(Object.keys(registry.port)).toEqual(['say'])
  expect(await Promise.resolve(registry.port)).toBe(registry.port)
})

describe('a failure', () => {
  interface Asker {
    ask(options?: { signal: AbortSignal }): Promise<string>
  }
  const asking = (failure: Error): Registry<Asker> =>
    new Registry<Asker>({
      implementations: { a: { use: { ask: () => Promise.reject(failure) } }, b: { use: { ask: async () => 'b' } } },
    })

  it('that was given up from outside is not passed on, though something further in was not done', async () => {
    const inner = Object.assign(new Error('refused'), { applied: 'no' })
    const failure = Object.assign(new Error('gone', { cause: inner }), { name: 'TimeoutError' })
    await expect(asking(failure).port.ask()).rejects.toBe(failure)
  })

  it('is not passed on for a caller who has gone, and said so by a signal among its options', async () => {
    const failure = Object.assign(new Error('refused'), { applied: 'no' })
    await expect(asking(failure).port.ask({ signal: AbortSignal.abort() })).rejects.toBe(failure)
    expect(await asking(failure).port.ask({ signal: new AbortController().signal })).toBe('b')
  })
})
