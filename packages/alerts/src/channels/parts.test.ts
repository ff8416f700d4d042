import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { examine, keyOf } from '../fingerprint.js'
import { paceNote, paceReadyMs, retryDelayMs } from '../pace.js'
import { redactor, secretsOfUrl } from '../redact.js'
import { escapeWithin, oneLine, plainText, shorten, soundText } from '../text.js'
import { retryAfterInBodyMs, retryAfterMs } from './retry-after.js'
import { sign, verifyWebhook } from './signature.js'

describe('a receiver that asks for a pause', () => {
  const now = Date.UTC(2026, 0, 1)
  it.each([
    ['3', 3_000],
    ['0', 0],
    ['1.25', 1_250],
    [' 7 ', 7_000],
    ['Thu, 01 Jan 2026 00:00:05 GMT', 5_000],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['-3', undefined],
    ['soon', undefined],
    ['', undefined],
    [null, undefined],
  ])('by the header %j means %j ms', (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected)
  })

  it.each([
    ['{"message":"slow","retry_after":1.234,"global":false}', 1_234],
    ['{"retry_after":"soon"}', undefined],
    ['{"retry_after":-1}', undefined],
    ['null', undefined],
    ['<html>', undefined],
  ])('by the body %s means %j ms', (body, expected) => {
    expect(retryAfterInBodyMs(body)).toBe(expected)
  })
})

describe('a signature', () => {
  const secret = 'known to both sides'
  const now = 1_767_225_600_000
  const body = '{"version":1}'
  const headers = sign(secret, body, now)

  it('is right for what was signed, also as bytes and with headers in capitals', () => {
    expect(verifyWebhook({ secret, body, headers, now })).toBe(true)
    const shouted = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]))
    expect(verifyWebhook({ secret, body: Buffer.from(body), headers: shouted, now: now + 299_000 })).toBe(true)
  })

  it.each([
    ['another body', { body: '{"version":2}' }],
    ['another secret', { secret: 'another' }],
    ['a time long ago', { now: now + 300_001 }],
    ['a time to come', { now: now - 300_001 }],
    ['no headers', { headers: {} }],
    ['another time', { headers: { ...headers, 'evenkeel-timestamp': String(now + 1) } }],
    ['half a signature', { headers: { ...headers, 'evenkeel-signature': 'v1=12' } }],
  ])('is wrong with %s', (_, change) => {
    expect(verifyWebhook({ secret, body, headers, now, ...change })).toBe(false)
  })

  it('needs a secret', () => {
    expect(() => verifyWebhook({ secret: '', body, headers, now })).toThrow(TypeError)
  })
})

describe('secrets', () => {
  it('are taken out as they are, encoded, and in Base64', () => {
    const redact = redactor([
      'pa$$ wörd',
      ...secretsOfUrl(new URL('https://x.example/hooks/T0KEN-abcdefgh?key=q%20uery-key')),
    ])
    for (const text of [
      'pa$$ wörd',
      encodeURIComponent('pa$$ wörd'),
      Buffer.from('pa$$ wörd').toString('base64'),
      'https://x.example/hooks/T0KEN-abcdefgh?key=q%20uery-key',
      'GET /hooks/T0KEN-abcdefgh',
      'T0KEN-abcdefgh',
      'q uery-key',
    ]) {
      expect(redact(`before ${text} after`)).toMatch(/^before .*\[secret\] after$/)
    }
    expect(redact('hooks are words')).toBe('hooks are words')
  })
})

describe('text', () => {
  it('is shortened between characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 50 }), (text, length) => {
        expect(shorten(text, length).length).toBeLessThanOrEqual(length)
        expect(escapeWithin(text, length, (character) => `\\${character}`).length).toBeLessThanOrEqual(length)
        expect(shorten(text, length)).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/)
      }),
    )
  })

  it('has no half of a character in it, which no receiver of JSON has to take', () => {
    expect(soundText('cut \ud83d')).toBe('cut \ufffd')
    expect(soundText('whole \u{1f600}')).toBe('whole \u{1f600}')
  })

  it('has no control characters, and one line has one line', () => {
    expect(oneLine('a\r\n\u001b[31mb\u0000\u202ec')).toBe('a [31mb c')
    expect(plainText('a\r\nb\u001b[2J\tc\u0000')).toBe('a\nb [2J c')
  })
})

describe('the fingerprint of an error', () => {
  const thrown = (text: string): unknown => new TypeError(`no user ${text}`)

  it('is the same for one place, whatever the message says', () => {
    const origins = ['1', 'two', '3'].map((text) => examine(thrown(text)).origin)
    expect(new Set(origins).size).toBe(1)
  })

  it('is the same although the message looks like frames', () => {
    const of = (user: string): unknown => new TypeError(`failed\n    at /app/${user}.js:1:1`)
    const origins = ['ann', 'bob'].map((user) => examine(of(user)).origin)
    expect(new Set(origins).size).toBe(1)
  })

  it('is the same whatever stands in lines that are too long for a place', () => {
    const of = (line: string): unknown => Object.assign(new Error('x'), { stack: `Error${line}\n    at /app/x.js:1:1` })
    expect(examine(of(`\n    at ${'('.repeat(1e6)}/a:1:1`)).origin).toBe(examine(of('')).origin)
  })

  it('differs by class, by code and by place', () => {
    const coded = Object.assign(new TypeError('x'), { code: 'E1' })
    const origins = [thrown('1'), new RangeError('x'), coded, new TypeError('x')].map((error) => examine(error).origin)
    expect(new Set(origins).size).toBe(4)
  })

  it('of what has no stack is its message without the numbers', () => {
    expect(examine('user 7 failed').origin).toBe(examine('user 81384788765712384 failed').origin)
    expect(examine('user 7 failed').origin).not.toBe(examine('guild 7 failed').origin)
  })

  it.each([
    [null],
    [undefined],
    [Symbol('s')],
    [7n],
    [() => 1],
    [Object.create(null)],
    [
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('no')
          },
        },
      ),
    ],
    [
      {
        get message(): string {
          throw new Error('no')
        },
        stack: 7,
      },
    ],
  ])('can be taken of %#', (value) => {
    const { name, message, origin } = examine(value)
    expect([name, message, origin].every((text) => text.length > 0)).toBe(true)
  })

  it('takes hostile labels for data, in any order', () => {
    expect(keyOf('a', { x: '1', y: '2' })).toBe(keyOf('a', { y: '2', x: '1' }))
    expect(keyOf('a', { 'x"': '1' })).not.toBe(keyOf('a', { x: '"1' }))
    expect(keyOf('a', JSON.parse('{"__proto__":"1"}') as Record<string, string>)).not.toBe(keyOf('a', {}))
  })
})

describe('the pace', () => {
  it('allows as many messages in any minute as it says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 0, max: 9_000 })), (max, waits) => {
        let nowMs = 0
        let sent: readonly number[] = []
        const all: number[] = []
        for (const wait of waits) {
          nowMs = Math.max(nowMs + wait, paceReadyMs(sent, max, 50))
          sent = paceNote(sent, nowMs)
          all.push(nowMs)
        }
        for (const at of all)
          expect(all.filter((other) => other > at - 60_000 && other <= at).length).toBeLessThanOrEqual(max)
        for (const [index, at] of all.entries())
          if (index > 0) expect(at - (all[index - 1] ?? 0)).toBeGreaterThanOrEqual(50)
      }),
    )
  })

  it('waits longer after each failure, up to a minute, and not all alike', () => {
    const least = [1, 2, 3, 4, 10].map((failures) => retryDelayMs(failures, false, () => 0))
    const most = [1, 2, 3, 4, 10].map((failures) => retryDelayMs(failures, false, () => 0.999_999))
    expect(least).toEqual([500, 1_000, 2_000, 4_000, 30_000])
    expect(most.map(Math.round)).toEqual([1_000, 2_000, 4_000, 8_000, 60_000])
    expect(retryDelayMs(1_000_000, true, () => 0)).toBe(450_000)
  })
})
