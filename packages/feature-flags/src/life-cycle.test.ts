import { expect, it } from 'vitest'
import { LifeCycle } from './life-cycle.js'

/** Lives that begin, or fail to, when a test says so; ending one does not make it let go. */
function setUp() {
  const begins: { over: AbortSignal; resolve: () => void; reject: (error: Error) => void }[] = []
  const story: string[] = []
  const life = new LifeCycle({
    begin: (over) => {
      story.push('begin')
      return new Promise((resolve, reject) => begins.push({ over, resolve, reject }))
    },
    end: async () => {
      story.push('end')
    },
  })
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await Promise.resolve()
  }
  return { begins, story, life, settle }
}

it('tells nobody of a start that fails after it was stopped, and stops no later one for it', async () => {
  const { begins, story, life, settle } = setUp()
  const first = life.start()
  await settle()
  const stopped = life.stop()
  const second = life.start()
  await settle()
  expect([begins.length, begins[0]?.over.aborted]).toEqual([1, true])
  begins[0]?.reject(new Error('too late'))
  await Promise.all([first, stopped])
  await settle()
  begins[1]?.resolve()
  await second
  expect([story, begins[1]?.over.aborted]).toEqual([['begin', 'end', 'begin'], false])
})

it('begins nothing when it is stopped before its turn comes', async () => {
  const { story, life } = setUp()
  const stops = [life.stop(), life.stop()]
  const started = life.start()
  stops.push(life.stop())
  await Promise.all([started, ...stops])
  expect(story).toEqual(['end', 'end', 'end'])
})

it('has ended when a start that failed says so, and can be started again', async () => {
  const { begins, story, life, settle } = setUp()
  const first = life.start()
  await settle()
  begins[0]?.reject(new Error('no file'))
  await expect(first).rejects.toThrow('no file')
  const second = life.start()
  await settle()
  begins[1]?.resolve()
  await second
  expect(story).toEqual(['begin', 'end', 'begin'])
})
