import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FlagDocumentError } from '../document-error.js'
import { compileConditions, conditionAttributes, describeConditions, holds } from './compile-conditions.js'

function compile(conditions: unknown) {
  return compileConditions(conditions, { patterns: true })
}

function refusal(conditions: unknown, patterns = true): FlagDocumentError {
  try {
    compileConditions(conditions, { patterns })
  } catch (error) {
    if (error instanceof FlagDocumentError) return error
    throw error
  }
  throw new Error('It was not refused')
}

describe('conditions', () => {
  it.each<[conditions: unknown, path: (string | number)[], reason: string]>([
    [null, [], 'Conditions must be an object such as { plan: "pro" }, not null'],
    [undefined, [], 'not undefined'],
    ['pro', [], 'not "pro"'],
    [5, [], 'not 5'],
    [[{ plan: 'pro' }], [], "not [ { plan: 'pro' } ]"],
    [new Map([['plan', 'pro']]), [], 'Conditions must be an object'],
    [new Date(0), [], 'Conditions must be an object'],
    [{ __proto__: { plan: 'pro' } }, [], 'Conditions must be an object'],
    [
      {},
      [],
      'Conditions without any attribute would hold for everyone; name one, such as { plan: "pro" }, or leave them out',
    ],
    [
      { plan: null },
      ['plan'],
      'Condition "plan": null is no value; for an attribute that is missing write { exists: false }',
    ],
    [{ plan: undefined }, ['plan'], 'undefined is no value; write a text, a number, true or false'],
    [{ plan: {} }, ['plan'], '{} says nothing; write a value, or an operator such as { in: ["gold"] }'],
    [{ plan: [] }, ['plan'], 'the list is an empty list; name at least one value, or leave it out'],
    [{ plan: ['a', ['b']] }, ['plan', 1], "[ 'b' ] is no value"],
    // eslint-disable-next-line no-sparse-arrays -- a hole is what is tested
    [{ plan: ['a', , 'b'] }, ['plan', 1], 'undefined is no value'],
    [{ plan: ['a', null] }, ['plan', 1], 'null is no value'],
    [{ plan: () => 'a' }, ['plan'], '[Function: plan] is no value'],
    [{ plan: Symbol('a') }, ['plan'], 'Symbol(a) is no value'],
    [{ plan: /a/ }, ['plan'], '/a/ is no value'],
    [{ plan: NaN }, ['plan'], 'NaN equals no attribute; write a number'],
    [{ plan: [1, Infinity] }, ['plan', 1], 'Infinity equals no attribute'],
    [{ plan: new Date(0) }, ['plan'], 'a Date is no value to be equal to; write { after: ... } or { before: ... }'],
    [
      { owner: [81384788765712384] },
      ['owner', 0],
      'the number 81384788765712380 has lost digits; write it in quotes, as a text',
    ],
    [{ guildId: 81384788765712384 }, ['guildId'], 'has lost digits'],
    [{ guildId: { in: ['1', 2 ** 53] } }, ['guildId', 'in', 1], 'the number 9007199254740992 has lost digits'],
    [{ guildId: true }, ['guildId'], 'true is no id; write its digits in quotes'],
    [{ userId: ['1', ''] }, ['userId', 1], '"" is no id'],
    [{ userId: 1.5 }, ['userId'], '1.5 is no id'],
    [{ userId: {} }, ['userId'], '{} says nothing'],
    [{ guildId: { moreThan: 5 } }, ['guildId', 'moreThan'], '`moreThan` never holds for an id, which is a text'],
    [{ userId: { after: 0 } }, ['userId', 'after'], '`after` never holds for an id'],
    [{ plan: { inn: ['a'] } }, ['plan', 'inn'], 'there is no operator "inn"; did you mean "in"'],
    [{ plan: { startWith: 'a' } }, ['plan', 'startWith'], 'did you mean "startsWith"'],
    [{ plan: { '>=': 5 } }, ['plan', '>='], 'there is no operator ">="'],
    [
      { plan: { greaterThanOrEqualTo: 5 } },
      ['plan', 'greaterThanOrEqualTo'],
      '; the operators are in, notIn, startsWith, ',
    ],
    [JSON.parse('{"plan":{"__proto__":["a"]}}'), ['plan', '__proto__'], 'there is no operator "__proto__"'],
    [{ plan: { constructor: 'a' } }, ['plan', 'constructor'], 'there is no operator "constructor"'],
    [{ plan: { in: 'gold' } }, ['plan', 'in'], '`in` must be a list such as ["gold", "platinum"], not "gold"'],
    [{ plan: { in: [] } }, ['plan', 'in'], '`in` is an empty list'],
    [{ plan: { in: undefined } }, ['plan', 'in'], '`in` must be a list'],
    [{ plan: { in: { 0: 'a', length: 1 } } }, ['plan', 'in'], '`in` must be a list'],
    [{ plan: { notIn: ['a', {}] } }, ['plan', 'notIn', 1], '{} is no value'],
    [{ plan: { startsWith: 5 } }, ['plan', 'startsWith'], '`startsWith` must be a text or a list of texts, not 5'],
    [
      { plan: { endsWith: ['a', null] } },
      ['plan', 'endsWith', 1],
      '`endsWith` must be a text or a list of texts, not null',
    ],
    [{ plan: { contains: '' } }, ['plan', 'contains'], '`contains` is an empty text, which every text contains'],
    [{ plan: { contains: [] } }, ['plan', 'contains'], '`contains` is an empty list'],
    [{ level: { moreThan: '5' } }, ['level', 'moreThan'], '`moreThan` must be a number, not "5"; leave out the quotes'],
    [{ level: { atLeast: NaN } }, ['level', 'atLeast'], '`atLeast` must be a number, not NaN'],
    [{ level: { lessThan: Infinity } }, ['level', 'lessThan'], 'not Infinity'],
    [{ level: { atMost: null } }, ['level', 'atMost'], 'not null'],
    [{ level: { atMost: 5n } }, ['level', 'atMost'], 'not 5n'],
    [{ at: { after: 'tomorrow' } }, ['at', 'after'], '`after` must be an ISO 8601 instant such as "2026-11-28"'],
    [{ at: { after: '2026-11-28T08:30:00' } }, ['at', 'after'], '(a time needs its offset)'],
    [{ at: { before: '2026-02-30' } }, ['at', 'before'], 'not "2026-02-30"'],
    [{ at: { before: new Date(NaN) } }, ['at', 'before'], 'not Invalid Date'],
    [{ at: { before: Infinity } }, ['at', 'before'], 'not Infinity'],
    [{ at: { before: 1e300 } }, ['at', 'before'], 'not 1e+300'],
    [
      { v: { version: 1.4 } },
      ['v', 'version'],
      '`version` must be a range such as ">=1.4.0 <2.0.0", not 1.4; put it in quotes',
    ],
    [{ v: { version: 'new' } }, ['v', 'version'], '`version` is "new": "new" is no version or bound'],
    [{ v: { matches: '(a' } }, ['v', 'matches'], '`matches` is "(a": a group is not closed with ")"'],
    [{ v: { matches: '(?=a)' } }, ['v', 'matches'], 'no look-around'],
    [
      { v: { matches: /a/ } },
      ['v', 'matches'],
      'must be a regular expression as a text, not /a/; write its source, as a text',
    ],
    [{ v: { exists: 'yes' } }, ['v', 'exists'], '`exists` must be true or false, not "yes"'],
    [{ v: { not: { exists: true } } }, ['v', 'not', 'exists'], '`exists` cannot stand within `not`'],
    [{ v: { not: { not: 'a' } } }, ['v', 'not', 'not'], '`not` cannot stand within `not`'],
    [{ v: { not: { inn: ['a'] } } }, ['v', 'not', 'inn'], 'did you mean "in"'],
    [{ v: { not: [] } }, ['v', 'not'], 'the list is an empty list'],
    [{ v: { not: {} } }, ['v', 'not'], '{} says nothing'],
    [{ v: { not: ['a', NaN] } }, ['v', 'not', 1], 'NaN equals no attribute'],
  ])('are refused as %o', (conditions, path, reason) => {
    const error = refusal(conditions)
    expect(error.reason).toContain(reason)
    expect(error.path).toEqual(path)
  })

  it('may use patterns only where they are allowed', () => {
    const error = refusal({ v: { matches: 'a' } }, false)
    expect(error.path).toEqual(['v', 'matches'])
    expect(error.reason).toBe(
      'Condition "v": `matches` is not allowed here; use startsWith, endsWith or contains, or allow `patterns`',
    )
    expect(refusal({ v: { not: { matches: 'a' } } }, false).path).toEqual(['v', 'not', 'matches'])
  })

  it('are refused in a few words, however long they are', () => {
    for (const hostile of [
      { ['a'.repeat(1e6)]: null },
      { a: { ['b'.repeat(1e6)]: 1 } },
      { a: { in: 'c'.repeat(1e6) } },
      { a: { moreThan: Array.from({ length: 1e5 }, () => 'd'.repeat(100)) } },
      { a: { version: 'e'.repeat(900) } },
    ]) {
      expect(refusal(hostile).message.length).toBeLessThan(2_000)
    }
  })

  it('compile to something that can be asked, or are refused with a FlagDocumentError, whatever they are', () => {
    const operator = fc.constantFrom(
      'in',
      'notIn',
      'startsWith',
      'moreThan',
      'after',
      'version',
      'matches',
      'exists',
      'not',
    )
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSparseArray: true })
    const condition = fc.oneof(anything, fc.dictionary(operator, anything))
    fc.assert(
      fc.property(fc.oneof(anything, fc.dictionary(fc.string(), condition)), anything, (conditions, attributes) => {
        try {
          const compiled = compile(conditions)
          expect(typeof holds(compiled, '1', undefined, attributes as never)).toBe('boolean')
          expect(describeConditions(compiled)).not.toBe('')
        } catch (error) {
          if (!(error instanceof FlagDocumentError)) throw error
          expect(error.reason).not.toBe('')
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it('do not change with what they were made from', () => {
    const plan = ['gold']
    const compiled = compile({ plan })
    plan.push('free')
    expect(holds(compiled, undefined, undefined, { plan: 'free' })).toBe(false)
  })

  it('tell which attributes they look at, each once', () => {
    const compiled = compile({ plan: 'a', level: { atLeast: 1, atMost: 5, not: 3 }, guildId: '7' })
    expect(conditionAttributes(compiled)).toEqual(['plan', 'level', 'guildId'])
  })
})

describe('conditions in words', () => {
  it.each<[unknown, string]>([
    [{ plan: ['gold', 'platinum'] }, 'plan is one of "gold", "platinum"'],
    [{ plan: 'gold' }, 'plan is "gold"'],
    [{ guildId: 7n }, 'guildId is 7'],
    [{ plan: { notIn: ['gold'] } }, 'plan is not "gold"'],
    [{ plan: { notIn: ['gold', 5] } }, 'plan is not one of "gold", 5'],
    [{ n: [1, 2, 3, 4, 5, 6, 7] }, 'n is one of 1, 2, 3, 4, 5 and 2 more'],
    [{ lang: { startsWith: 'en' } }, 'lang starts with "en"'],
    [{ lang: { endsWith: ['a', 'b'] } }, 'lang ends with one of "a", "b"'],
    [
      { lang: { contains: 'x' }, level: { atLeast: 5, lessThan: 9 } },
      'lang contains "x" and level is at least 5 and level is less than 9',
    ],
    [
      { at: { after: '2026-11-28', before: 0 } },
      'at is after 2026-11-28T00:00:00.000Z and at is before 1970-01-01T00:00:00.000Z',
    ],
    [{ v: { version: '^1.4.0' } }, 'v is a version in "^1.4.0"'],
    [{ v: { matches: '^a+$' } }, 'v matches "^a+$"'],
    [{ v: { exists: true }, w: { exists: false } }, 'v is there and w is missing'],
    [{ v: { not: { startsWith: 'a', endsWith: 'b' } } }, 'not (v starts with "a" and v ends with "b")'],
    [{ 'odd name': true }, '"odd name" is true'],
  ])('%o', (conditions, phrase) => {
    expect(describeConditions(compile(conditions))).toBe(phrase)
  })
})
