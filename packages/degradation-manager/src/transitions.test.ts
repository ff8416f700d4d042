import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultModes as modes, isWorse as isWorseOf, stepBetter as stepBetterOf } from './mode.js'
import {
  earliestReturnMs,
  initialState,
  modeOf,
  nextDueMs,
  transition,
  wantedMode,
  type Input,
  type ModeState,
  type Plan,
} from './transitions.js'

const minDwellMs = 30_000

type Mode = string
const isWorse = (mode: Mode, other: Mode): boolean => isWorseOf(modes, mode, other)
const stepBetter = (mode: Mode): Mode => stepBetterOf(modes, mode)

const plan: Plan = {
  modes,
  minDwellMs,
  rules: [
    { component: 'database', is: 'degraded', mode: 'DEGRADED' },
    { component: 'database', is: 'down', mode: 'MAINTENANCE' },
    { pressure: 'load', enter: 0.9, leave: 0.7, mode: 'DEGRADED' },
    { component: 'gateway', is: 'degraded', mode: 'MAINTENANCE' },
  ],
}

const component = (name: string, status: 'up' | 'degraded' | 'down' | 'unknown'): Input => ({
  type: 'component',
  name,
  status,
  reason: 'a test',
})
const load = (value: number): Input => ({ type: 'pressure', name: 'load', value })

/** What the inputs lead to, all at the same moment. */
const after = (...inputs: Input[]): ModeState =>
  inputs.reduce(
    (state, input) => transition(plan, state, input, 0),
    transition(plan, initialState(plan), { type: 'start' }, 0),
  )

describe('rules', () => {
  it.each<[string, Input[], Mode]>([
    ['nothing known', [], 'FULL'],
    ['a component up', [component('database', 'up')], 'FULL'],
    ['a component degraded', [component('database', 'degraded')], 'DEGRADED'],
    ['down counts as degraded or worse', [component('gateway', 'down')], 'MAINTENANCE'],
    ['the worst of the active rules wins', [component('database', 'down')], 'MAINTENANCE'],
    ['in whatever order they become active', [component('gateway', 'degraded'), load(1)], 'MAINTENANCE'],
    ['unknown starts nothing', [component('gateway', 'unknown')], 'FULL'],
    ['unknown ends nothing', [component('gateway', 'down'), component('gateway', 'unknown')], 'MAINTENANCE'],
    ['a component that no rule names', [component('__proto__', 'down')], 'FULL'],
    ['a pressure below the threshold', [load(0.899)], 'FULL'],
    ['a pressure at the threshold', [load(0.9)], 'DEGRADED'],
    ['a pressure beyond 1', [load(7)], 'DEGRADED'],
    ['a pressure and a component of the same name', [{ type: 'pressure', name: 'database', value: 1 }], 'FULL'],
  ])('%s', (_name, inputs, mode) => {
    expect(modeOf(after(...inputs))).toBe(mode)
  })

  it.each([
    [0.9, true],
    [0.701, true],
    [0.7, false],
    [0, false],
  ])('once entered, a pressure of %s keeps its rule active: %s', (value, active) => {
    expect(after(load(0.95), load(value)).reasons[2] !== undefined).toBe(active)
  })

  it('has nothing to add to a status without a reason', () => {
    const state = after({ type: 'component', name: 'gateway', status: 'down', reason: '' })
    expect(state.reasons[3]).toBe('component "gateway" is down')
  })

  it('names what it saw', () => {
    expect(after(component('database', 'down'), load(0.98765)).reasons).toEqual([
      'component "database" is down: a test',
      'component "database" is down: a test',
      'pressure "load" is 0.988 (enters at 0.9, leaves at 0.7)',
      undefined,
    ])
  })
})

describe('recovery', () => {
  it('climbs one step per dwell', () => {
    let state = after(component('gateway', 'down'), component('gateway', 'up'))
    const story: [number, Mode][] = [[0, modeOf(state)]]
    for (let dueMs = nextDueMs(state); dueMs !== undefined; dueMs = nextDueMs(state)) {
      state = transition(plan, state, { type: 'time' }, dueMs)
      story.push([dueMs, modeOf(state)])
    }
    expect(story).toEqual([
      [0, 'MAINTENANCE'],
      [30_000, 'DEGRADED'],
      [60_000, 'FULL'],
    ])
  })

  it('climbs one step, not two, when the timer was hours late', () => {
    const state = transition(
      plan,
      after(component('gateway', 'down'), component('gateway', 'up')),
      { type: 'time' },
      9e6,
    )
    expect(modeOf(state)).toBe('DEGRADED')
    expect(nextDueMs(state)).toBe(9e6 + minDwellMs)
  })

  it('does not count time in which nobody watched', () => {
    const stopped = transition(
      plan,
      after(component('gateway', 'down'), component('gateway', 'up')),
      { type: 'stop' },
      1,
    )
    expect(nextDueMs(stopped)).toBeUndefined()
    const restarted = transition(plan, stopped, { type: 'start' }, 9e6)
    expect(modeOf(restarted)).toBe('MAINTENANCE')
    expect(nextDueMs(restarted)).toBe(9e6 + minDwellMs)
  })

  it('begins its dwell anew when the reason returns', () => {
    let state = after(load(1))
    state = transition(plan, state, load(0), 1_000)
    state = transition(plan, state, load(1), 30_000)
    state = transition(plan, state, load(0), 31_000)
    state = transition(plan, state, { type: 'time' }, 60_999)
    expect(modeOf(state)).toBe('DEGRADED')
    expect(modeOf(transition(plan, state, { type: 'time' }, 61_000))).toBe('FULL')
  })
})

describe('a recovery that is taken back', () => {
  /** Degraded, calm, recovered, and so often taken back a second after that: how long the next recovery takes. */
  const dwellAfter = (relapses: number, restMs = 1_000): number => {
    let state = after(load(1))
    let nowMs = 0
    const move = (input: Input): void => void (state = transition(plan, state, input, nowMs))
    for (let relapse = 0; relapse < relapses; relapse++) {
      move(load(0))
      nowMs = nextDueMs(state) ?? Infinity
      move({ type: 'time' })
      nowMs += relapse === relapses - 1 ? restMs : 1_000
      move(load(1))
    }
    move(load(0))
    return (nextDueMs(state) ?? Infinity) - nowMs
  }

  it.each([1, 2, 4, 8, 8, 8].map((times, relapses) => [relapses, times]))(
    'makes the next one wait: %i times, %i dwells',
    (relapses, times) => expect(dwellAfter(relapses)).toBe(times * minDwellMs),
  )

  it('is forgotten once a recovery has lasted as long as it had been waited for', () => {
    expect(dwellAfter(3, 4 * minDwellMs - 1)).toBe(8 * minDwellMs)
    expect(dwellAfter(3, 4 * minDwellMs)).toBe(minDwellMs)
  })
})

describe('the earliest return', () => {
  const isFull = (mode: Mode): boolean => mode === 'FULL'

  it('is the rest of the present dwell and a whole one for each further step', () => {
    const state = after(component('gateway', 'down'), component('gateway', 'up'))
    expect(earliestReturnMs(plan, state, isFull, 10_000)).toBe(20_000 + minDwellMs)
  })

  it('is not known while nobody watches', () => {
    expect(earliestReturnMs(plan, transition(plan, after(load(1)), { type: 'stop' }, 0), isFull, 0)).toBeUndefined()
  })
})

describe('a mode set by hand', () => {
  const byHand = (mode: Mode, forMs?: number): Input => ({ type: 'setMode', mode, why: 'a test', by: undefined, forMs })

  it.each(modes)('wins over the rules: %s', (mode) => {
    expect(modeOf(after(component('database', 'degraded'), byHand(mode)))).toBe(mode)
  })

  it('gives way, when it expires, to where the rules have led in the meantime', () => {
    const state = after(byHand('FULL', 5_000), component('gateway', 'down'))
    expect(modeOf(transition(plan, state, { type: 'time' }, 4_999))).toBe('FULL')
    expect(modeOf(transition(plan, state, { type: 'time' }, 5_000))).toBe('MAINTENANCE')
  })

  it('lets the rules recover in the background', () => {
    let state = after(component('gateway', 'down'), component('gateway', 'up'), byHand('MAINTENANCE'))
    for (const atMs of [30_000, 60_000]) state = transition(plan, state, { type: 'time' }, atMs)
    expect(modeOf(state)).toBe('MAINTENANCE')
    expect(modeOf(transition(plan, state, { type: 'clearMode' }, 60_000))).toBe('FULL')
  })
})

/** A life of a bot: inputs, and the time that passes before each. Timers fire when they are due, as the manager sees to. */
const anyInput: fc.Arbitrary<Input> = fc.oneof(
  fc
    .record({
      name: fc.constantFrom('database', 'gateway'),
      status: fc.constantFrom('up' as const, 'degraded' as const, 'down' as const, 'unknown' as const),
    })
    .map(({ name, status }) => component(name, status)),
  fc.double({ min: 0, max: 1.2, noNaN: true }).map(load),
)
const anyLife = fc.array(fc.tuple(fc.nat({ max: 2 * minDwellMs }), anyInput), { maxLength: 40 })

function live(life: [number, Input][], see: (state: ModeState, nowMs: number) => void): void {
  let state = transition(plan, initialState(plan), { type: 'start' }, 0)
  let nowMs = 0
  const move = (input: Input, atMs: number): void => {
    nowMs = atMs
    state = transition(plan, state, input, atMs)
    see(state, atMs)
  }
  for (const [waitMs, input] of life) {
    const atMs = nowMs + waitMs
    for (let dueMs = nextDueMs(state); dueMs !== undefined && dueMs <= atMs; dueMs = nextDueMs(state)) {
      move({ type: 'time' }, dueMs)
    }
    move(input, atMs)
  }
}

describe('laws', () => {
  it('is never better than the worst of the active rules, and worse only while it recovers', () => {
    fc.assert(
      fc.property(anyLife, (life) => {
        live(life, (state) => {
          const wanted = wantedMode(plan, state)
          expect(isWorse(wanted, modeOf(state))).toBe(false)
          expect(isWorse(modeOf(state), wanted)).toBe(state.calmSinceMs !== undefined)
        })
      }),
    )
  })

  it('never gets better by more than a step, nor sooner than a dwell after the mode changed or was asked for', () => {
    fc.assert(
      fc.property(anyLife, (life) => {
        let mode: Mode = 'FULL'
        let notBeforeMs = 0
        live(life, (state, nowMs) => {
          const next = modeOf(state)
          if (isWorse(mode, next)) {
            expect(next).toBe(stepBetter(mode))
            expect(nowMs).toBeGreaterThanOrEqual(notBeforeMs)
          }
          if (next !== mode || !isWorse(next, wantedMode(plan, state))) notBeforeMs = nowMs + minDwellMs
          mode = next
        })
      }),
    )
  })

  it('moves once at most while a pressure oscillates between the thresholds', () => {
    const inTheBand = fc.double({ min: 0.7, max: 1, minExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 5_000 }), inTheBand.map(load)), { maxLength: 200 }), (life) => {
        const seen: Mode[] = []
        live(life, (state) => {
          if (modeOf(state) !== seen.at(-1)) seen.push(modeOf(state))
        })
        expect(seen.length).toBeLessThanOrEqual(2)
      }),
    )
  })

  it('promises a return that comes to the millisecond when nothing else happens, and never sooner', () => {
    const calm: Input[] = [component('database', 'up'), component('gateway', 'up'), load(0)]
    fc.assert(
      fc.property(
        anyLife,
        fc.constantFrom<Mode>('FULL', 'DEGRADED'),
        fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
        (life, worstThatServes, forMs) => {
          const serves = (mode: Mode): boolean => !isWorse(mode, worstThatServes)
          let state = initialState(plan)
          let nowMs = 0
          live(life, (last, atMs) => ([state, nowMs] = [last, atMs]))
          const inputs =
            forMs === undefined
              ? calm
              : [...calm, { type: 'setMode', mode: 'MAINTENANCE', why: '', by: undefined, forMs } as const]
          for (const input of [{ type: 'start' } as const, ...inputs]) state = transition(plan, state, input, nowMs)

          const promisedMs = earliestReturnMs(plan, state, serves, nowMs)
          const sinceMs = nowMs
          while (!serves(modeOf(state))) {
            nowMs = nextDueMs(state) ?? Infinity
            state = transition(plan, state, { type: 'time' }, nowMs)
          }
          expect(promisedMs).toBe(nowMs - sinceMs)
        },
      ),
    )
  })

  it('promises nothing that only a person can bring', () => {
    const forGood = after({ type: 'setMode', mode: 'MAINTENANCE', why: 'a test', by: undefined, forMs: undefined })
    expect(earliestReturnMs(plan, forGood, (mode) => mode === 'FULL', 0)).toBeUndefined()
    expect(earliestReturnMs(plan, after(), () => false, 0)).toBeUndefined()
  })
})
