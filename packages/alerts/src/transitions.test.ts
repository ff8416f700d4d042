import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { NoticeKind, Severity } from './alert.js'
import { type AlertState, nextDueMs, occur, pass, resolve, suppressed, type TellingRules, told } from './transitions.js'

const rules: TellingRules = { digestMs: 60_000, repeatMs: 14_400_000, flapChanges: 5, flapWindowMs: 600_000 }

/** One alert, its life stepped through by hand; what is told is written down. */
class Story {
  state: AlertState | undefined
  nowMs = 1_000_000
  readonly told: string[] = []
  isSilenced = false
  readonly isLasting: boolean

  constructor(isLasting = true) {
    this.isLasting = isLasting
  }

  happens(times = 1, severity: Severity = 'WARNING'): void {
    for (let time = 0; time < times; time++) {
      const seen = { name: 'a', labels: {}, about: undefined, isLasting: this.isLasting, severity, message: 'm' }
      const { state, tell } = occur(this.state, seen, this.nowMs, rules)
      this.#follow(state, tell)
    }
  }

  ends(): void {
    const step = resolve(this.state, this.nowMs, rules)
    if (step !== undefined) this.#follow(step.state, step.tell)
  }

  /** Lets time pass, and stops at each instant at which the alert is due. */
  waits(ms: number): void {
    const untilMs = this.nowMs + ms
    for (let turns = 0; this.state !== undefined; turns++) {
      if (turns > 1_000) throw new Error('It is due again and again without an end')
      const dueMs =
        nextDueMs(this.state, rules) ?? (this.state.owed !== undefined && !this.isSilenced ? this.nowMs : Infinity)
      if (dueMs > untilMs) break
      this.nowMs = Math.max(this.nowMs, dueMs)
      const step = pass(this.state, this.nowMs, rules, this.isSilenced)
      if (step === undefined) this.state = undefined
      else if (step.tell === undefined && nextDueMs(step.state, rules) === dueMs) throw new Error('due for nothing')
      else this.#follow(step.state, step.tell)
    }
    this.nowMs = untilMs
  }

  #follow(state: AlertState, tell: NoticeKind | undefined): void {
    this.state = state
    if (tell === undefined) return
    this.told.push(tell === 'repeated' ? `repeated ${state.untold}` : tell)
    this.state = told(state, this.nowMs)
    if (!this.isSilenced) return
    this.told.pop()
    this.state = suppressed(state, tell, this.nowMs)
  }
}

describe('an alert', () => {
  it('is told once when it begins, and once in short, however often it happens', () => {
    const story = new Story()
    story.happens(10_000)
    story.waits(3_600_000)
    expect(story.told).toEqual(['firing', 'repeated 9999'])
  })

  it('is told again after the repeat interval while it lasts, and when it ends', () => {
    const story = new Story()
    story.happens()
    story.waits(2 * rules.repeatMs)
    story.ends()
    expect(story.told).toEqual(['firing', 'reminder', 'reminder', 'resolved'])
  })

  it('is told at once when it becomes more urgent, and not when it becomes less so', () => {
    const story = new Story()
    story.happens(1, 'WARNING')
    story.happens(1, 'CRITICAL')
    story.happens(1, 'WARNING')
    story.happens(1, 'CRITICAL')
    expect(story.told).toEqual(['firing', 'firing'])
  })

  it('that merely happens is not told again unless it happens again, and then forgotten', () => {
    const story = new Story(false)
    story.happens()
    story.waits(rules.repeatMs)
    expect([story.told, story.state]).toEqual([['firing'], undefined])
    story.happens(3)
    story.waits(rules.digestMs)
    story.happens(2)
    story.waits(rules.repeatMs)
    expect(story.told).toEqual(['firing', 'firing', 'repeated 2', 'repeated 2'])
  })

  it('for information is never a reminder', () => {
    const story = new Story()
    story.happens(1, 'INFO')
    story.waits(10 * rules.repeatMs)
    expect([story.told, story.state]).toEqual([['firing'], undefined])
  })

  it('that flaps is told as flapping once, and how it is when it stays so', () => {
    const story = new Story()
    for (let turn = 0; turn < 50; turn++) {
      story.happens()
      story.waits(5_000)
      story.ends()
      story.waits(5_000)
    }
    expect(story.told).toEqual(['firing', 'resolved', 'firing', 'resolved', 'flapping'])
    story.waits(rules.flapWindowMs)
    expect(story.told.at(-1)).toBe('resolved')
    story.happens()
    expect(story.told.at(-1)).toBe('firing')
    expect(story.told).toHaveLength(7)
  })

  it('that flaps and stays is told as firing, and goes on as any other', () => {
    const story = new Story()
    for (let turn = 0; turn < 6; turn++) {
      story.happens()
      story.waits(1_000)
      story.ends()
    }
    story.happens()
    story.waits(rules.flapWindowMs)
    story.ends()
    expect(story.told.slice(-3)).toEqual(['flapping', 'firing', 'resolved'])
  })

  it('changes slowly without being taken for flapping', () => {
    const story = new Story()
    for (let turn = 0; turn < 5; turn++) {
      story.happens()
      story.waits(rules.flapWindowMs / 4)
      story.ends()
      story.waits(rules.flapWindowMs / 4)
    }
    expect(story.told).not.toContain('flapping')
    expect(story.told).toHaveLength(10)
  })

  it('that was silenced when it began is told when the silence is over, and its end only then', () => {
    const story = new Story()
    story.isSilenced = true
    story.happens()
    story.waits(3_600_000)
    expect(story.told).toEqual([])
    story.isSilenced = false
    story.waits(0)
    expect(story.told).toEqual(['firing'])
    const other = new Story()
    other.isSilenced = true
    other.happens()
    other.isSilenced = false
    other.ends()
    expect(other.told).toEqual([])
  })

  it('is believed by people to be what it is, once nobody wants quiet any more and it has stayed as it is', () => {
    const happening = fc.oneof(
      fc.constant((story: Story) => story.happens()),
      fc.constant((story: Story) => story.ends()),
      fc.boolean().map((isSilenced) => (story: Story) => {
        story.isSilenced = isSilenced
        story.waits(0)
      }),
      fc.integer({ min: 0, max: 1_000_000 }).map((ms) => (story: Story) => story.waits(ms)),
    )
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
        const story = new Story()
        for (const happen of happenings) happen(story)
        story.isSilenced = false
        story.waits(rules.flapWindowMs)
        const believed = story.told.at(-1) ?? 'resolved'
        expect(believed === 'resolved').toBe(story.state?.status !== 'firing')
      }),
      { numRuns: 2_000 },
    )
  })

  it('never comes due without an end, whatever happens to it', () => {
    const happening = fc.oneof(
      fc.constant((story: Story) => story.happens()),
      fc.constant((story: Story) => story.happens(1, 'CRITICAL')),
      fc.constant((story: Story) => story.ends()),
      fc.boolean().map((isSilenced) => (story: Story) => void (story.isSilenced = isSilenced)),
      fc.integer({ min: 0, max: 20_000_000 }).map((ms) => (story: Story) => story.waits(ms)),
    )
    fc.assert(
      fc.property(fc.boolean(), fc.array(happening, { maxLength: 60 }), (isLasting, happenings) => {
        const story = new Story(isLasting)
        for (const happen of happenings) happen(story)
        // What people were told last is what is true, unless it flaps or somebody wants quiet.
        const { state } = story
        if (state !== undefined && !state.isFlapping && state.owed === undefined && state.tellings > 0) {
          if (state.status === 'resolved') expect(story.told.at(-1)).toBe('resolved')
          else expect(story.told.at(-1)).not.toBe('resolved')
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
