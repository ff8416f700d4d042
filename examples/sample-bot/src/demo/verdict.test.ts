import { describe, expect, it } from 'vitest'
import type { Ledger, LedgerEvent, LedgerMessage } from '@evenkeel-examples/discord-standin'
import { apologiesAfter, firstPromiseAfter, isClean, judge } from './verdict.js'

const promise = 'I will remind you <t:1:R>: tea 100'

describe('judge', () => {
  it('finds nothing wrong when every command was answered once and every reminder came once', () => {
    const verdict = judge(ledger([asked('100', promise), asked('101', 'You have no reminders here.')], [came('100')]))
    expect(verdict).toMatchObject({ sent: 2, inTime: 2, promised: 1, reminderDelayP99Ms: 20 })
    expect(isClean(verdict)).toBe(true)
  })

  const damages: [string, Ledger, object][] = [
    ['a command without an answer', ledger([unanswered('100')]), { lost: 1 }],
    [
      'an answer that Discord refused as too late',
      ledger([{ ...unanswered('100'), attempts: [{ at: 4_000, type: 4, status: 404, code: 10062 }] }]),
      { late: 1, lost: 0 },
    ],
    ['an answer after three seconds', ledger([{ ...asked('100', 'ok'), answeredAt: 4_001 }]), { late: 1, inTime: 0 }],
    ['a command answered twice', ledger([twice(asked('100', 'ok'))]), { doubled: 1 }],
    ['a promised reminder that never came', ledger([asked('100', promise)]), { missing: 1 }],
    ['a reminder that came twice', ledger([asked('100', promise)], [came('100'), came('100')]), { repeated: 1 }],
    [
      'a reminder that came after it was taken back',
      ledger([asked('100', promise), asked('101', 'Forgotten: tea 100')], [came('100')]),
      { resurrected: 1, missing: 0 },
    ],
  ]
  it.each(damages)('finds %s', (_, damaged, expected) => {
    const verdict = judge(damaged)
    expect(verdict).toMatchObject(expected)
    expect(isClean(verdict)).toBe(false)
  })

  it('does not miss a reminder that was taken back, and does not count an apology as a promise', () => {
    const verdict = judge(
      ledger([
        asked('100', promise),
        asked('101', 'Forgotten: tea 100'),
        asked('102', 'Sorry, something went wrong. Look at /reminders before you try again.'),
      ]),
    )
    expect(verdict).toMatchObject({ promised: 0, missing: 0, apologies: 1 })
    expect(isClean(verdict)).toBe(true)
  })
})

describe('the ledger around an incident', () => {
  const events = [
    asked('1', promise, 500),
    asked('2', 'Sorry, something went wrong.', 1_000),
    asked('3', 'Sorry, something went wrong.', 1_400),
    asked('4', promise, 1_500),
  ]

  it('says how long members were without a promise', () => {
    expect(firstPromiseAfter(ledger(events), 900)).toBe(610)
    expect(firstPromiseAfter(ledger(events), 2_000)).toBeUndefined()
  })

  it('says how many apologies there were, and for how long', () => {
    expect(apologiesAfter(ledger(events), 900)).toEqual({ count: 2, forMs: 400 })
    expect(apologiesAfter(ledger(events), 900, 1_400)).toEqual({ count: 1, forMs: 0 })
    expect(apologiesAfter(ledger(events), 2_000)).toEqual({ count: 0, forMs: 0 })
  })
})

function unanswered(id: string, sentAt = 1_000): LedgerEvent {
  const options = { in: '5s', text: `tea ${id}` }
  return {
    id,
    guildId: '1',
    channelId: '2',
    userId: '3',
    command: 'remind',
    options,
    sentAt,
    deliveries: 1,
    attempts: [],
    followUps: [],
  }
}

function asked(id: string, answer: string, sentAt = 1_000): LedgerEvent {
  const at = sentAt + 10
  const attempts = [{ at, type: 4, status: 204, content: answer }]
  return { ...unanswered(id, sentAt), attempts, acknowledgedAt: at, answeredAt: at, answer }
}

function twice(event: LedgerEvent): LedgerEvent {
  return { ...event, attempts: [...event.attempts, { at: 1_020, type: 4, status: 400, code: 40060 }] }
}

function came(id: string): LedgerMessage {
  return { id: `9${id}`, channelId: '2', guildId: '1', content: `<@3> tea ${id}`, at: 1_000 + 5_000 + 20 }
}

function ledger(events: readonly LedgerEvent[], messages: readonly LedgerMessage[] = []): Ledger {
  const gateway = {
    identifies: 1,
    resumes: 0,
    refusedResumes: 0,
    refusedConnections: 0,
    closes: {},
    connected: 1,
  }
  return { now: 10_000, events, messages, repeatedNonces: [], rest: {}, gateway }
}
