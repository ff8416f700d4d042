import { FakeClock } from '@evenkeel/testing'
import { DiscordAPIError } from 'discord.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  answerOnce,
  AnswerWindow,
  contextOf,
  contextOfDispatch,
  deferOnce,
  gatewayBudgetCheck,
  isAlreadyAnswered,
  nonceOf,
} from '../discord.js'
import { LowWaterMark } from './session/low-water-mark.js'

const discordEpochMs = 1_420_070_400_000

/** The id of a thing that Discord made at this moment of its own clock. */
function idAt(epochMs: number): string {
  return String(BigInt(Math.floor(epochMs) - discordEpochMs) << 22n)
}

function refusal(code: number): DiscordAPIError {
  return new DiscordAPIError({ code, message: 'no' }, code, 400, 'POST', '/interactions', {
    body: undefined,
    files: undefined,
  })
}

describe('the low-water mark', () => {
  it('is the last number before the first that is not done, in whatever order they end', () => {
    const run = fc.record({
      start: fc.nat(1_000),
      steps: fc.array(fc.record({ gap: fc.integer({ min: 1, max: 3 }), endsAfter: fc.nat(20), ends: fc.boolean() }), {
        maxLength: 60,
      }),
    })
    fc.assert(
      fc.property(run, ({ start, steps }) => {
        const mark = new LowWaterMark(start)
        const came: number[] = []
        const ended = new Set<number>()
        let highest = start
        let before = mark.done
        const check = (): void => {
          const first = came.find((number) => !ended.has(number))
          expect(mark.done).toBe(first === undefined ? highest : first - 1)
          expect(mark.received).toBe(highest)
          expect(mark.open).toBe(came.length - ended.size)
          expect(mark.done).toBeGreaterThanOrEqual(before)
          before = mark.done
        }
        for (const { gap, endsAfter, ends } of steps) {
          highest += gap
          came.push(highest)
          mark.begin(highest)
          check()
          const chosen = came[endsAfter % came.length]
          if (!ends || chosen === undefined) continue
          ended.add(chosen)
          mark.end(chosen)
          check()
        }
        // A number that comes again, as it was replayed, holds nothing up that is done.
        for (const number of came) mark.begin(number)
        check()
      }),
    )
  })
})

describe('the window for an answer', () => {
  it('takes lateness from the ids, whatever the wall clock says', () => {
    const clock = new FakeClock(5_000) // the wall clock is decades off
    const answers = new AnswerWindow({ clock })
    const discordMs = discordEpochMs + 1_000_000
    expect(answers.arrived(idAt(discordMs))()).toBe(2_800)
    expect(answers.arrived(idAt(discordMs - 1_000))()).toBe(1_800)
    expect(answers.arrived(idAt(discordMs - 4_000))()).toBe(0)
  })

  it('counts what passes after the arrival', async () => {
    const clock = new FakeClock()
    const remainingMs = new AnswerWindow({ clock, marginMs: 500 }).arrived(idAt(discordEpochMs + 1_000_000))
    await clock.advance(2_000)
    expect(remainingMs()).toBe(500)
    await clock.advance(2_000)
    expect(remainingMs()).toBe(0)
  })

  it('learns from a later event that an earlier one was late', () => {
    const answers = new AnswerWindow({ clock: new FakeClock() })
    const discordMs = discordEpochMs + 1_000_000
    answers.arrived(idAt(discordMs - 10_000)) // of a RESUME, and the first of all
    answers.observe(idAt(discordMs))
    expect(answers.arrived(idAt(discordMs - 10_000))()).toBe(0)
  })

  it('forgets the best delivery in time, since two clocks drift apart', async () => {
    const clock = new FakeClock()
    const answers = new AnswerWindow({ clock, memoryMs: 1_000 })
    let discordMs = discordEpochMs + 1_000_000
    answers.arrived(idAt(discordMs))
    for (let i = 0; i < 3; i++) {
      await clock.advance(1_000)
      discordMs += 500 // the clock of this process runs twice as fast
      answers.observe(idAt(discordMs))
    }
    expect(answers.arrived(idAt(discordMs))()).toBe(2_300)
  })

  it('knows nothing any more after a long silence', async () => {
    const clock = new FakeClock()
    const answers = new AnswerWindow({ clock, memoryMs: 1_000 })
    const discordMs = discordEpochMs + 1_000_000
    answers.arrived(idAt(discordMs))
    await clock.advance(2_500)
    expect(answers.arrived(idAt(discordMs + 1_250))()).toBe(2_800)
  })

  it('refuses what is no id', () => {
    expect(() => new AnswerWindow().arrived('message-1')).toThrow(TypeError)
    expect(() => new AnswerWindow({ windowMs: 100 })).toThrow('windowMs must be more than marginMs (200)')
  })
})

describe('a nonce', () => {
  it('is the same for the same event and part, and fits what Discord takes', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string(), fc.string({ minLength: 1 }), fc.string(), (a, p, b, q) => {
        expect(nonceOf(a, p)).toMatch(/^[\w-]{25}$/)
        expect(nonceOf(a, p) === nonceOf(b, q)).toBe(a === b && p === q)
      }),
    )
  })

  it('tells the parts of an event from other events', () => {
    expect(nonceOf('messageCreate:1', '23')).not.toBe(nonceOf('messageCreate:12', '3'))
    expect(nonceOf('messageCreate:1', 2)).toBe(nonceOf('messageCreate:1', '2'))
  })

  it('is refused for an event without an id, whose messages would all be one', () => {
    expect(() => nonceOf(undefined)).toThrow('nonceOf needs the id of the event, not undefined')
  })
})

describe('an answer that Discord refuses', () => {
  it.each([
    [40_060, 'already-answered'],
    [10_062, 'too-late'],
    [50_027, 'too-late'],
  ])('with %i is taken for %s', async (code, outcome) => {
    expect(await answerOnce(() => Promise.reject(refusal(code)))).toEqual({ outcome })
  })

  it('for any other reason is a failure', async () => {
    const missingAccess = refusal(50_001)
    await expect(answerOnce(() => Promise.reject(missingAccess))).rejects.toBe(missingAccess)
    await expect(answerOnce(() => Promise.reject(new Error('reset')))).rejects.toThrow('reset')
    expect(isAlreadyAnswered(undefined)).toBe(false)
  })

  it('to be deferred goes on where the run that deferred it had died', async () => {
    const interaction = { deferred: false, deferReply: () => Promise.reject(refusal(40_060)) }
    expect(await deferOnce(interaction)).toEqual({ outcome: 'already-answered' })
    expect(interaction.deferred).toBe(true)
    const late = { deferred: false, deferReply: () => Promise.reject(refusal(10_062)) }
    await deferOnce(late)
    expect(late.deferred).toBe(false)
  })
})

describe('the context of an event', () => {
  it.each([
    [
      { t: 'INTERACTION_CREATE', d: { id: '1', guild_id: '2', member: { user: { id: '3' } } } },
      'interactionCreate:1',
      '2',
      '3',
    ],
    [{ t: 'INTERACTION_CREATE', d: { id: '1', user: { id: '3' } } }, 'interactionCreate:1', null, '3'],
    [{ t: 'MESSAGE_CREATE', d: { id: '1', guild_id: '2', author: { id: '3' } } }, 'messageCreate:1', '2', '3'],
    [{ t: 'MESSAGE_DELETE', d: { id: '1', guild_id: '2' } }, 'messageDelete:1', '2', null],
    [
      {
        t: 'MESSAGE_UPDATE',
        d: { id: '1', author: { id: '3' }, edited_timestamp: '2026-01-01T00:00:00Z', embeds: [{}] },
      },
      null,
      null,
      '3',
    ],
    [{ t: 'MESSAGE_UPDATE', d: { id: '1', author: { id: '3' }, edited_timestamp: null } }, null, null, '3'],
    [
      { t: 'GUILD_MEMBER_ADD', d: { guild_id: '2', user: { id: '3' }, joined_at: '2026-01-01T00:00:00Z' } },
      'guildMemberAdd:2:3:1767225600000',
      '2',
      '3',
    ],
    [{ t: 'GUILD_MEMBER_REMOVE', d: { guild_id: '2', user: { id: '3' } } }, null, '2', '3'],
    [{ t: 'MESSAGE_REACTION_ADD', d: { message_id: '1', guild_id: '2', user_id: '3' } }, null, '2', '3'],
    [{ t: 'CONSTRUCTOR', d: { id: '1' } }, null, null, null],
  ])('is picked from %j', ({ t, d }, eventId, guildId, userId) => {
    expect(contextOfDispatch({ t, s: 1, d })).toMatchObject({ eventId, guildId, userId })
  })

  it('has the moment of an edit, and no id for what happens to the message later', () => {
    const edited = { id: '1', guildId: '2', author: { id: '3' }, editedTimestamp: 1_767_225_600_000, embeds: [] }
    const idAfter = (ms: number, change: object = {}): string | null => {
      const receivedAt = edited.editedTimestamp + ms
      return contextOf({ name: 'messageUpdate', args: [edited, { ...edited, ...change }], receivedAt } as never).eventId
    }
    expect([idAfter(200), idAfter(-50)]).toEqual(Array(2).fill('messageUpdate:1:1767225600000:0:0'))
    expect(idAfter(900, { embeds: [{}] })).toBe('messageUpdate:1:1767225600000:0:1')
    expect([true, false, true].map((pinned) => idAfter(60_000, { pinned }))).toEqual([null, null, null])
  })

  it('is refused for an object that comes more than once', () => {
    const message = { id: '1', guildId: '2', author: { id: '3' } }
    expect(() => contextOf(message as never)).toThrow('contextOf takes an interaction, or what forwardEvents hands on')
  })
})

describe('the budget of identifies', () => {
  it('is asked of Discord with the signal of the check, and says how long the shards take', async () => {
    const asked: unknown[] = []
    const session_start_limit = { total: 1_000, remaining: 90, reset_after: 60_000, max_concurrency: 2 }
    const rest = {
      get: async (...call: readonly unknown[]) => {
        asked.push(call)
        return { shards: 5, session_start_limit }
      },
    }
    const { signal } = new AbortController()
    const budget = await gatewayBudgetCheck(rest, { shards: 5 })({ signal })
    expect(budget).toMatchObject({ remaining: 90, deploysLeft: 4, identifyMs: 15_000, resetAfterMs: 60_000 })
    expect(asked).toEqual([['/gateway/bot', { signal }]])
    await expect(gatewayBudgetCheck(rest, { shards: 21 })({ signal })).rejects.toMatchObject({ code: 'CHECK_FAILED' })
  })
})
