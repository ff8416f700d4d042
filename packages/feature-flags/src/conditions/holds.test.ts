import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileConditions } from './compile-conditions.js'
import type { Conditions } from './conditions.js'
import { holds } from './holds.js'

function ask(conditions: Conditions, attributes?: Record<string, unknown>, guildId?: string, userId?: string): boolean {
  return holds(compileConditions(conditions, { patterns: true }), guildId, userId, attributes)
}

describe('a condition', () => {
  const day = new Date('2026-11-28T00:00:00Z')
  it.each<[condition: Conditions[string], holding: unknown[], failing: unknown[]]>([
    ['gold', ['gold'], ['Gold', 'golden', '', 0, true]],
    ['', [''], ['a', 0, false]],
    [5, [5, 5n], ['5', 5.5, 6n, true]],
    [5n, [5, 5n, '5'], [6, '5n']],
    [0, [0, -0], ['', false]],
    [true, [true], ['true', 1]],
    [
      ['gold', 5, false],
      ['gold', 5, false],
      ['silver', 4, true, day],
    ],
    [{ in: ['gold', 'platinum'] }, ['gold', 'platinum'], ['silver', 5]],
    [{ in: ['81384788765712384'] }, ['81384788765712384', 81384788765712384n], [81384788765712380]],
    [{ in: [2 ** 53 - 1] }, [2 ** 53 - 1, 9007199254740991n], [9007199254740992n, 9007199254740993n]],
    [{ notIn: ['gold', 5] }, ['silver', 6, 6n, true, day], ['gold', 5, 5n]],
    [{ startsWith: 'en' }, ['en', 'en-US'], ['EN', 'den', 5, true]],
    [{ startsWith: ['en', 'de'] }, ['en-US', 'de-AT'], ['fr']],
    [{ endsWith: '.de' }, ['bot.de'], ['bot.de.', 5]],
    [{ endsWith: ['.de', '.at'] }, ['bot.at'], ['bot.fr']],
    [{ contains: 'test' }, ['a test bot', 'test'], ['Test', 5]],
    [{ contains: ['test', 'beta'] }, ['beta bot'], ['bot']],
    [{ moreThan: 5 }, [5.1, 6n, Infinity], [5, 5n, -Infinity, '6', true, day]],
    [{ atLeast: 5 }, [5, 5n, 6], [4.9, '5']],
    [{ lessThan: 5 }, [4.9, 4n, -1], [5, 5n, '4', false]],
    [{ atMost: 5 }, [5, 5n, 4], [5.1, '5']],
    [{ atLeast: 5, lessThan: 10, not: 7 }, [5, 9], [4, 10, 7]],
    [
      { after: '2026-11-28' },
      ['2026-11-28T00:00:01Z', +day + 1, new Date(+day + 1)],
      [day, +day, '2026-11-28', 'soon', 1n],
    ],
    [{ before: day }, ['2026-11-27', +day - 1, new Date(+day - 1)], [day, '2026-11-28', 'yesterday', true]],
    [{ after: 0, before: '2026-11-28T02:00:00+02:00' }, [1, '2026-11-27'], [0, '2026-11-28']],
    [{ version: '>=1.4.0 <2.0.0 || 3.x' }, ['1.4.0', 'v3.1.2'], ['1.3.9', '2.0.0', '1.4', 1.4, 'new']],
    [{ matches: '^[a-z]+-\\d{3}$' }, ['abc-123'], ['abc-12', 'ABC-123', 123, 'a'.repeat(2_000)]],
    [{ exists: true }, ['', 0, false, 0n, day], []],
    [{ exists: false }, [], ['', 0, false, 0n, day]],
    [{ not: 'gold' }, ['silver', 5, day], ['gold']],
    [{ not: ['gold', 5] }, ['silver'], ['gold', 5]],
    [{ not: { startsWith: 'a', endsWith: 'z' } }, ['ab', 'bz', 5], ['abcz']],
    [{ exists: true, startsWith: 'a' }, ['ab'], ['b']],
  ])('%o', (condition, holding, failing) => {
    for (const value of holding) expect(ask({ x: condition }, { x: value }), `holds for ${String(value)}`).toBe(true)
    for (const value of failing) expect(ask({ x: condition }, { x: value }), `fails for ${String(value)}`).toBe(false)
  })

  it('holds only with all others', () => {
    const conditions = { plan: ['gold'], level: { atLeast: 5 }, guildId: '7' }
    expect(ask(conditions, { plan: 'gold', level: 5 }, '7')).toBe(true)
    expect(ask(conditions, { plan: 'free', level: 5 }, '7')).toBe(false)
    expect(ask(conditions, { plan: 'gold', level: 4 }, '7')).toBe(false)
    expect(ask(conditions, { plan: 'gold', level: 5 }, '8')).toBe(false)
  })

  it('takes ids as texts, numbers and BigInts, and from the context, not the attributes', () => {
    const conditions: Conditions = { guildId: ['7', 8, 81384788765712384n] }
    for (const guildId of ['7', '8', '81384788765712384']) expect(ask(conditions, {}, guildId)).toBe(true)
    expect(ask(conditions, {}, '9')).toBe(false)
    expect(ask(conditions, { guildId: '7' })).toBe(false)
    expect(ask(conditions, {}, undefined, '7')).toBe(false)
    expect(ask({ userId: { notIn: [7] } }, {}, '7', '8')).toBe(true)
    expect(ask({ userId: { notIn: [7] } }, {}, '8', '7')).toBe(false)
    expect(ask({ guildId: { exists: false } }, {}, undefined, '7')).toBe(true)
  })
})

describe('a missing attribute', () => {
  class Player {
    get plan(): string {
      return 'gold'
    }
  }
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const fail = (): never => {
    throw new Error('broken')
  }
  const missing: [string, Record<string, unknown> | undefined][] = [
    ['no attributes', undefined],
    ['null for attributes', null as never],
    ['no such attribute', { other: 1 }],
    ['undefined', { plan: undefined }],
    ['null', { plan: null }],
    ['NaN', { plan: NaN }],
    ['an object', { plan: {} }],
    ['a list', { plan: ['gold'] }],
    ['a function', { plan: () => 'gold' }],
    ['a symbol', { plan: Symbol('gold') }],
    ['a wrapped text', { plan: new String('gold') }],
    ['an invalid date', { plan: new Date(NaN) }],
    ['what only says it is a date', { plan: Object.create(Date.prototype) as unknown }],
    ['an inherited value', Object.create({ plan: 'gold' }) as Record<string, unknown>],
    ['a getter of a class', new Player() as never],
    [
      'a getter that throws',
      {
        get plan() {
          return fail()
        },
      },
    ],
    ['a proxy that throws', new Proxy({ plan: 'gold' }, { get: fail })],
    ['a proxy that throws when asked whose it is', new Proxy({ plan: 'gold' }, { getPrototypeOf: fail })],
    ['a revoked proxy', revoked.proxy],
  ]
  it.each(missing)('satisfies `exists: false` and nothing else: %s', (_, attributes) => {
    expect(ask({ plan: { exists: false } }, attributes)).toBe(true)
    const others: Conditions[string][] = [
      'gold',
      ['gold'],
      { exists: true },
      { notIn: ['silver'] },
      { not: 'silver' },
      { not: { contains: 'q' } },
      { startsWith: 'g' },
      { lessThan: 5 },
      { after: 0 },
      { before: 0 },
      { version: '*' },
      { matches: '.*' },
      { exists: false, notIn: ['silver'] },
    ]
    for (const condition of others) expect(ask({ plan: condition }, attributes), JSON.stringify(condition)).toBe(false)
  })

  it.each(['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf'])('may be called %s', (name) => {
    const conditions = JSON.parse(`{"${name}": {"exists": true}}`) as Conditions
    expect(ask(conditions, {})).toBe(false)
    expect(ask(conditions, Object.create(null) as Record<string, unknown>)).toBe(false)
    expect(ask(conditions, JSON.parse(`{"${name}": "x"}`) as Record<string, unknown>)).toBe(true)
  })

  it('is not made up by a polluted prototype', () => {
    const prototype = Object.prototype as unknown as Record<string, unknown>
    prototype['tier'] = 'gold'
    try {
      expect(ask({ tier: 'gold' }, {})).toBe(false)
    } finally {
      delete prototype['tier']
    }
  })
})

describe('asking conditions', () => {
  it('reads an attribute once, so that all operators see one value', () => {
    let reads = 0
    const attributes = {
      get level() {
        return ++reads
      },
    }
    expect(ask({ level: { atLeast: 1, atMost: 1, not: { in: [2], lessThan: 9 } } }, attributes)).toBe(true)
    expect(reads).toBe(1)
  })

  it('takes a date of another realm, and trusts no replaced method', () => {
    expect(ask({ at: { after: 5 } }, { at: runInNewContext('new Date(6)') as unknown })).toBe(true)
    const date = Object.assign(new Date(6), { getTime: () => 0, valueOf: () => 0 })
    expect(ask({ at: { after: 5 } }, { at: date })).toBe(true)
  })

  it('never throws, whatever the attributes are', () => {
    const conditions: Conditions = {
      a: { exists: true, not: { in: [1, 'x'], version: '^1.0.0' } },
      b: { notIn: ['q'], not: { matches: '(a+)+$' } },
      c: { not: { after: '2026-01-01', moreThan: 5, contains: 'x' } },
    }
    const compiled = Object.entries(conditions).map(([name, condition]) =>
      compileConditions({ [name]: condition }, { patterns: true }),
    )
    const value = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withObjectString: true })
    fc.assert(
      fc.property(fc.oneof(value, fc.dictionary(fc.constantFrom('a', 'b', 'c'), value)), (attributes) => {
        for (const one of compiled) expect(typeof holds(one, undefined, 'u', attributes as never)).toBe('boolean')
      }),
    )
  })

  it('makes no object, list or function of its own', () => {
    // V8 counts what is allocated; nothing is collected while it has this much room left.
    const compiled = compileConditions(
      { plan: ['gold', 'platinum'], level: { atLeast: 5 }, version: { version: '^1.4.0' }, guildId: { notIn: ['9'] } },
      { patterns: true },
    )
    const attributes = { plan: 'gold', level: 7, version: '1.5.0' }
    for (let i = 0; i < 20_000; i++) holds(compiled, '7', '8', attributes)
    const count = 20_000
    const grown = Array.from({ length: 5 }, () => {
      const before = process.memoryUsage().heapUsed
      for (let i = 0; i < count; i++) holds(compiled, '7', '8', attributes)
      return process.memoryUsage().heapUsed - before
    }).sort((a, b) => a - b)
    // One object for each call would be 16 bytes or more.
    expect((grown[2] ?? Infinity) / count).toBeLessThan(4)
  })
})
