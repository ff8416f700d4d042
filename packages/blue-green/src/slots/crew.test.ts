import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { Crew, type EventNews } from './crew.js'
import { NotBegunError, OutcomeUnknownError } from './errors.js'
import type { Slot } from './slot.js'

/** What a version does with an event: it dies over it, or has not begun it, or answers. */
type Deed = 'dies' | 'refuses' | 'answers'

/** Two versions that do one thing after the other with what they are given, and the last one for ever. */
function crewOf(deeds: Readonly<Record<'v1' | 'v2', readonly Deed[]>>, starting: readonly string[] = []) {
  const clock = new FakeClock()
  const redelivered: EventNews[] = []
  const unknown: EventNews[] = []
  const slot = (name: 'v1' | 'v2'): Slot<never> => {
    let n = 0
    return {
      start: async () => {},
      handle: async (_, delivery) => {
        const deed = deeds[name][Math.min(n++, deeds[name].length - 1)]
        if (deed === 'dies') throw new OutcomeUnknownError(name, 'it was killed', true)
        if (deed === 'refuses') throw new NotBegunError(name, 'it is being stopped')
        return { by: name, isRepeat: delivery?.isRepeat }
      },
      health: () => (starting.includes(name) ? 'unknown' : 'up'),
      onDeath: () => () => undefined,
      drain: async () => ({ drained: true, running: 0 }),
      stop: async () => {},
    }
  }
  const slots = new Map([
    ['v1', slot('v1')],
    ['v2', slot('v2')],
  ])
  const crew = new Crew(
    { slots, maxWaitMs: 200, drainMs: 1_000, stageTimeoutMs: 1_000, clock },
    {
      isToLive: (version) => version === 'v1',
      mayServeFor: () => ['v1', 'v2'],
      died: () => undefined,
      revived: () => undefined,
      measured: () => undefined,
      redelivered: (news) => redelivered.push(news),
      unknown: (news) => unknown.push(news),
    },
  )
  const deliver = async (): Promise<unknown> => {
    const answer = crew
      .deliver('v1', {}, { eventId: 'e', moved: () => undefined, refused: () => undefined })
      .catch((error: unknown) => error)
    await clock.advance(1_000)
    return answer
  }
  return { deliver, redelivered, unknown }
}

describe('an event that a version had begun when it died', () => {
  it('is told as unknown when no other one takes it in time', async () => {
    const { deliver, unknown } = crewOf({ v1: ['dies', 'refuses'], v2: ['refuses'] })
    expect(await deliver()).toMatchObject({ code: 'OUTCOME_UNKNOWN', applied: 'unknown' })
    expect(unknown).toMatchObject([{ from: 'v1', to: undefined, eventId: 'e' }])
  })

  it('is told as run a second time by whoever takes it, also when another one refused it in between', async () => {
    const { deliver, redelivered } = crewOf({ v1: ['dies', 'refuses'], v2: ['refuses', 'answers'] })
    expect(await deliver()).toEqual({ by: 'v2', isRepeat: true })
    expect(redelivered.at(-1)).toMatchObject({ from: 'v1', to: 'v2', isRepeat: true, severity: 'WARNING' })
  })
})

describe('an event that no version had begun', () => {
  it('is refused as such when none takes it in time, and nothing is unknown', async () => {
    const { deliver, unknown } = crewOf({ v1: ['refuses'], v2: ['refuses'] })
    expect(await deliver()).toMatchObject({ code: 'NOT_BEGUN', applied: 'no' })
    expect(unknown).toEqual([])
  })
})

describe('an event for a version that is still starting', () => {
  it('goes to another one that is up', async () => {
    const { deliver } = crewOf({ v1: ['answers'], v2: ['answers'] }, ['v1'])
    expect(await deliver()).toMatchObject({ by: 'v2', isRepeat: false })
  })

  it('waits for it no longer than maxWaitMs', async () => {
    const { deliver } = crewOf({ v1: ['answers'], v2: ['answers'] }, ['v1', 'v2'])
    expect(await deliver()).toMatchObject({ code: 'NOT_BEGUN' })
  })
})
