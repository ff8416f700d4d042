import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backUp } from '../test-support/back-up.js'
import type { CrashKind } from '../test-support/crash-files.js'
import { FailoverStory } from '../test-support/failover-story.js'

/** What a caller was told about the writes of one key. */
interface Told {
  /** The last value that was acknowledged; `undefined` for a delete, or when nothing was. */
  acknowledged: unknown
  /** Later writes, of which nobody knows whether they took effect. */
  possible: { readonly value: unknown }[]
}

/** What another process changes as well, at the same time. */
const SHARED = 'shared'

class AckLog {
  readonly told = new Map<string, Told>()

  /** Waits for a write and notes what it said; a write of a killed process says nothing. */
  async write(story: FailoverStory, key: string, value: unknown): Promise<void> {
    if (story.isKilled) return
    const write = value === undefined ? story.notes.delete(key) : story.notes.set(key, value)
    await this.#note(story, [key], value, write)
  }

  /** The same for the removal of everything; nobody writes meanwhile. */
  async clear(story: FailoverStory): Promise<void> {
    if (!story.isKilled) await this.#note(story, [...this.told.keys()], undefined, story.notes.clear())
  }

  async #note(story: FailoverStory, keys: readonly string[], value: unknown, write: Promise<unknown>): Promise<void> {
    const { storage } = story
    const isDead = (): boolean => story.isKilled || story.storage !== storage
    const begun = keys.map((key) => {
      const told = this.told.get(key) ?? { acknowledged: undefined, possible: [] }
      this.told.set(key, told)
      const attempt = { value }
      told.possible.push(attempt)
      return { told, attempt }
    })
    void write.then(
      () => {
        if (isDead()) return
        for (const { told, attempt } of begun) {
          told.acknowledged = value
          told.possible = told.possible.slice(told.possible.indexOf(attempt) + 1)
        }
      },
      (error: { applied?: string }) => {
        if (isDead() || error.applied !== 'no') return
        for (const { told, attempt } of begun) told.possible = told.possible.filter((each) => each !== attempt)
      },
    )
    await story.clock.advance(0)
  }
}

type Writers = 'one' | 'many'

function newStory(writers: Writers): FailoverStory {
  return new FailoverStory(undefined, undefined, { writers, mirrorIntervalMs: 1_000 })
}

/** With many writers, another process writes to the primary, too, which goes on whatever happens to ours. */
async function another(story: FailoverStory, writers: Writers, key: string, value: unknown): Promise<void> {
  if (writers === 'many') await story.primaryNotes.set(key, value)
}

/** An outage from beginning to end. */
async function outage(story: FailoverStory, writers: Writers, log: AckLog): Promise<void> {
  void story.storage.start().catch(() => undefined)
  await story.clock.advance(0)
  await log.write(story, 'a', 'a0')
  await log.clear(story)
  await log.write(story, 'a', 'a1')
  await log.write(story, 'b', 'b1')
  await another(story, writers, SHARED, 'theirs')
  if (!story.isKilled) story.faulty.down()
  await log.write(story, 'a', 'a2')
  // What others have there, too, it could not clear without a conflict.
  if (writers === 'one') await log.clear(story)
  await log.write(story, 'b', undefined)
  await log.write(story, 'c', 'c1')
  await log.write(story, 'c', 'c2')
  if (writers === 'many') await log.write(story, SHARED, 'mine')
  await another(story, writers, SHARED, 'theirs, later')
  if (!story.isKilled) story.faulty.up()
  await story.clock.advance(20_000)
  await another(story, writers, 'theirs', 1)
  await log.write(story, 'd', 'd1')
  await log.write(story, 'a', 'a3')
}

async function expectNothingLost(story: FailoverStory, log: AckLog, at: string): Promise<void> {
  expect(story.storage.state, at).toMatchObject({ on: 'primary', journalLength: 0, diverged: undefined })
  await expectNoOtherConflict(story, log, at)
  for (const [key, { acknowledged, possible }] of log.told) {
    const value = await story.primaryNotes.get(key)
    const values = [acknowledged, ...possible.map((write) => write.value)]
    if (key === SHARED) expect(value, at).toBe('theirs, later')
    else expect(values, `${at}: ${key}`).toContainEqual(value)
    expect(await story.notes.get(key), at).toEqual(value)
  }
  // The copy must equal the primary in the end.
  await story.clock.advance(2_000)
  story.faulty.down()
  for (const key of [...log.told.keys(), SHARED, 'theirs']) {
    expect(await story.notes.get(key), `${at}: copy of ${key}`).toEqual(await story.primaryNotes.get(key))
  }
}

/** What was acknowledged of the record that both changed is kept apart; of nothing else there is anything to decide. */
async function expectNoOtherConflict(story: FailoverStory, log: AckLog, at: string): Promise<void> {
  const conflicts = (await story.storage.conflicts()).flatMap(({ changes }) => changes.map(({ key }) => key))
  const isKept = log.told.get(SHARED)?.acknowledged !== undefined
  expect(isKept || conflicts.length > 0 ? [SHARED] : [], at).toEqual(conflicts)
}

async function measure(writers: Writers): Promise<{ steps: number; calls: number }> {
  const story = newStory(writers)
  const log = new AckLog()
  await outage(story, writers, log)
  const cost = { steps: story.files.steps, calls: story.calls }
  await expectNothingLost(story, log, 'without a crash')
  return cost
}

async function goOn(story: FailoverStory, kind: CrashKind): Promise<void> {
  story.restart(kind)
  story.faulty.up()
  await story.storage.start()
  await story.clock.advance(20_000)
}

describe.each<Writers>(['one', 'many'])("FailoverStorage with writers: '%s', killed", (writers) => {
  it.each<CrashKind>(['kill', 'power cut'])('loses nothing when a %s ends any step of the disk', async (kind) => {
    const { steps } = await measure(writers)
    expect(steps).toBeGreaterThan(40)
    for (let step = 1; step <= steps; step++) {
      const story = newStory(writers)
      const log = new AckLog()
      story.files.crashAt = step
      await outage(story, writers, log)
      const at = `${kind} at step ${step}, ${story.files.log[step - 1]}`
      expect(story.isKilled, at).toBe(true)
      await goOn(story, kind)
      await expectNothingLost(story, log, at)
    }
  })

  it.each<CrashKind>(['kill', 'power cut'])(
    'goes on in the same outage after a %s at any step of the disk',
    async (kind) => {
      for (let step = 1; ; step++) {
        const story = newStory(writers)
        const log = new AckLog()
        await story.begin()
        await log.write(story, 'a', 'a1')
        story.faulty.down()
        story.files.crashAt = story.files.steps + step
        await log.write(story, 'a', 'a2')
        await log.write(story, 'b', 'b1')
        await another(story, writers, 'theirs', 1)
        await log.write(story, 'a', undefined)
        const at = `${kind} ${step} steps into the outage`
        if (!story.isKilled) return expect(step).toBeGreaterThan(5)
        story.restart(kind)
        await story.storage.start()
        await log.write(story, 'a', 'a3')
        await log.write(story, 'b', 'b2')
        await story.recover()
        // What was not acknowledged must not stand in the way of what was.
        await expectNothingLost(story, log, at)
      }
    },
  )

  it.each(['before', 'after'] as const)('loses nothing when it is killed %s any call of the primary', async (when) => {
    const { calls } = await measure(writers)
    expect(calls).toBeGreaterThan(20)
    for (let call = 1; call <= calls; call++) {
      const story = newStory(writers)
      const log = new AckLog()
      story.killAtCall = call
      story.killWhen = when
      await outage(story, writers, log)
      const at = `killed ${when} call ${call}`
      expect(story.isKilled, at).toBe(true)
      await goOn(story, 'kill')
      await expectNothingLost(story, log, at)
    }
  })

  it.each(['before', 'after'] as const)(
    'takes what a killed process left on the primary for its own, when it was killed %s any call',
    async (when) => {
      let outages = 0
      for (let call = 1; ; call++) {
        const story = newStory(writers)
        const log = new AckLog()
        story.killAtCall = call
        story.killWhen = when
        void story.storage.start().catch(() => undefined)
        await story.clock.advance(0)
        await log.write(story, 'a', 'a1')
        await log.write(story, 'b', 'b1')
        await log.write(story, 'a', 'a2')
        await log.write(story, 'b', undefined)
        await another(story, writers, 'theirs', 1)
        await log.write(story, 'c', 'c1')
        if (!story.isKilled) return expect(outages).toBeGreaterThan(3)
        story.faulty.down()
        story.restart()
        // Killed before its first copy was complete, it cannot serve in the outage.
        const isServing = await story.notes.has('a').catch(() => undefined)
        if (isServing === undefined) continue
        outages++
        await log.write(story, 'a', 'a3')
        await log.write(story, 'b', 'b3')
        await log.write(story, 'c', undefined)
        await story.recover()
        await expectNothingLost(story, log, `killed ${when} call ${call}`)
      }
    },
  )

  it.each(['before', 'after'] as const)('loses nothing when any call fails %s it arrives', async (when) => {
    const { calls } = await measure(writers)
    for (let call = 1; call <= calls + 5; call++) {
      const story = newStory(writers)
      const log = new AckLog()
      story.faulty.failNth(call, Object.assign(new Error('reset'), { code: 'ECONNRESET' }), { when })
      await outage(story, writers, log)
      const at = `call ${call} fails ${when} it arrives`
      await story.storage.start()
      await story.recover()
      await story.recover()
      await expectNothingLost(story, log, at)
    }
  })

  it.each(['a call of the primary', 'a step of the disk'])(
    'goes on with the primary that a person has accepted when it is killed at %s',
    async (where) => {
      let kills = 0
      for (let n = 1; n <= 20; n++) {
        const story = newStory(writers)
        await story.begin()
        await story.notes.set('both', 1)
        const backup = await backUp(story.inner, story.clock)
        await story.notes.set('lost', 1)
        await story.clock.advance(2_000)
        story.faulty.down()
        await story.notes.set('both', 2)
        await story.notes.set('new', 1)
        story.replacePrimary(backup)
        await story.clock.advance(20_000)
        expect(story.storage.state.diverged).toMatchObject({ kind: 'less history' })
        story.killWhen = 'after'
        if (where === 'a step of the disk') story.files.crashAt = story.files.steps + n
        else story.killAtCall = story.calls + n
        let wasAccepted = false
        void story.storage.acceptPrimary().then(
          () => (wasAccepted = !story.isKilled),
          () => undefined,
        )
        await story.clock.advance(20_000)
        if (!story.isKilled) break
        kills++
        await goOn(story, 'power cut')
        const at = `killed at ${where}, ${n}`
        if (wasAccepted) expect(story.storage.state.diverged, at).toBeUndefined()
        else await story.storage.acceptPrimary()
        await story.clock.advance(20_000)
        expect(story.storage.state, at).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0 })
        const there = await story.primaryNotes.getMany(['both', 'lost', 'new'])
        expect(Object.fromEntries(there), at).toEqual({ both: 2, new: 1 })
        story.faulty.down()
        expect(await story.notes.getMany(['both', 'lost', 'new']), at).toEqual(there)
      }
      expect(kills).toBeGreaterThan(10)
    },
  )

  it('agrees with a plain map over any history of writes, outages, lost answers and kills', async () => {
    const key = fc.constantFrom('a', 'b', 'c')
    const event = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('set' as const), key }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constantFrom(
            ...(['down', 'up', 'wait', 'wait long', 'lose an answer', 'another', 'kill', 'power cut'] as const),
            // It would also clear what others have, and conflict with them.
            ...(writers === 'one' ? (['clear'] as const) : []),
          ),
        }),
      },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (history) => {
        const story = newStory(writers)
        const log = new AckLog()
        await story.begin()
        let count = 0
        for (const step of history) {
          if (step.do === 'set' && 'key' in step) await log.write(story, step.key, ++count)
          else if (step.do === 'delete' && 'key' in step) await log.write(story, step.key, undefined)
          else if (step.do === 'clear') await log.clear(story)
          else if (step.do === 'down') story.faulty.down()
          else if (step.do === 'up') story.faulty.up()
          else if (step.do === 'wait') await story.clock.advance(700)
          else if (step.do === 'wait long') await story.clock.advance(15_000)
          else if (step.do === 'another') await another(story, writers, 'theirs', ++count)
          else if (step.do === 'lose an answer') {
            const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' })
            story.faulty.failNext(1, reset, { when: 'after' })
          } else if (step.do === 'kill' || step.do === 'power cut') story.restart(step.do)
        }
        story.faulty.up()
        await story.storage.start()
        await story.recover()
        await story.recover()
        await expectNothingLost(story, log, 'after all')
      }),
      { numRuns: 200 },
    )
  }, 60_000)
})
