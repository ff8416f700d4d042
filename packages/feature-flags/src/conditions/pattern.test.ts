import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Pattern } from './pattern.js'

/** What JavaScript's own expressions say. */
function javascript(source: string, subject: string): boolean {
  return new RegExp(source, 'u').test(subject)
}

const classMember = fc.constantFrom(
  'a',
  'b',
  '-',
  'a-c',
  '0-9',
  '\\d',
  '\\W',
  '\\s',
  '\\]',
  '\\x61',
  '😀',
  '\\u{1f600}-\\u{1f610}',
  '.',
  '^',
)
const characterClass = fc
  .tuple(
    fc.constantFrom('', '^'),
    fc.constantFrom('a', '\\d', 'b-d', '\\D', '😀'),
    fc.array(classMember, { maxLength: 3 }),
  )
  // A hyphen after a class is not taken by either; at the end it is a character.
  .map(([not, first, members]) => `[${not}${first}${members.filter((member) => member !== '-').join('')}]`)
const atom = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', '0', ' ', '-', '😀', 'é', '\n') },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '.',
      '\\d',
      '\\D',
      '\\w',
      '\\W',
      '\\s',
      '\\S',
      '\\n',
      '\\.',
      '\\\\',
      '\\u0061',
      '\\x62',
      '\\/',
    ),
  },
  { weight: 2, arbitrary: characterClass },
)
const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{0}', '{2}', '{1,}', '{0,2}', '{1,3}')
const { pattern } = fc.letrec<{ pattern: string; sequence: string; item: string }>((tie) => ({
  pattern: fc.array(tie('sequence'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('|')),
  sequence: fc.array(tie('item'), { maxLength: 3 }).map((parts) => parts.join('')),
  item: fc.oneof(
    // Deeper ones would take JavaScript for ever.
    { maxDepth: 2, withCrossShrink: true },
    fc.tuple(atom, quantifier).map((parts) => parts.join('')),
    fc.constantFrom('^', '$'),
    fc.tuple(fc.constantFrom('(', '(?:'), tie('pattern'), fc.constant(')'), quantifier).map((parts) => parts.join('')),
  ),
}))
const subject = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'b', 'c', '0', ' ', '-', '😀', 'é', '\n', '\ud83d', '.', '\\'),
    maxLength: 6,
  }),
  fc.string({ unit: 'binary', maxLength: 6 }),
)

describe('a pattern', () => {
  it('is found where JavaScript finds it', () => {
    const seen = { found: 0, absent: 0 }
    fc.assert(
      fc.property(pattern, fc.array(subject, { minLength: 1, maxLength: 8 }), (source, subjects) => {
        fc.pre(source !== '')
        const compiled = new Pattern(source)
        for (const text of subjects) {
          const isFound = compiled.isIn(text)
          seen[isFound ? 'found' : 'absent']++
          expect(isFound, `${JSON.stringify(source)} in ${JSON.stringify(text)}`).toBe(javascript(source, text))
        }
      }),
      { numRuns: 2_000 },
    )
    // Otherwise the patterns would be too easy, or too hard, to tell anything.
    expect(Math.min(seen.found, seen.absent)).toBeGreaterThan(500)
  })

  it('refuses or agrees with JavaScript, whatever characters it is made of', () => {
    const unit = fc.constantFrom(...'ab0^$.|()[]{}*+?\\-:,1dwsukp', '(?', '\\d', '{2}', '[^', 'a')
    fc.assert(
      fc.property(fc.string({ unit, minLength: 1, maxLength: 8 }), subject, (source, text) => {
        let compiled: Pattern
        try {
          compiled = new Pattern(source)
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError)
          return
        }
        // JavaScript takes a backslash before some punctuation only.
        const strict = source.replace(/\\([\s\S])/g, (escape, character: string) =>
          ',:-'.includes(character) ? `\\x${character.charCodeAt(0).toString(16)}` : escape,
        )
        expect(compiled.isIn(text)).toBe(javascript(strict, text))
      }),
      { numRuns: 5_000 },
    )
  })

  it.each([
    ['^(a+)+$', `${'a'.repeat(999)}!`],
    ['(a+)+$', `${'a'.repeat(999)}!`],
    ['^(a|aa)*$', `${'a'.repeat(999)}!`],
    ['^(a|a)*$', `${'a'.repeat(999)}!`],
    ['(.*)*(.*)*(.*)*x', 'a'.repeat(1_000)],
    ['^((((a*)*)*)*)*$', `${'a'.repeat(999)}!`],
    ['a{0,300}a{300}$', `${'a'.repeat(999)}!`],
    ['([a-z]+)+@([a-z]+)+\\.', 'a'.repeat(1_000)],
  ])('takes time in proportion to the text: %s', (source, text) => {
    const compiled = new Pattern(source)
    expect(compiled.isIn(text)).toBe(false)
    const whole = compiled.steps
    expect(whole).toBeLessThanOrEqual(2 * compiled.size * (text.length + 1))
    expect(compiled.isIn(text.slice(text.length / 2))).toBe(false)
    // A text of half the length takes half the steps, give or take the ends.
    expect(whole / compiled.steps).toBeLessThan(2.7)
  })

  it('keeps its bound of steps for any pattern and text', () => {
    fc.assert(
      fc.property(pattern, subject, (source, text) => {
        fc.pre(source !== '')
        const compiled = new Pattern(source)
        compiled.isIn(text)
        expect(compiled.steps).toBeLessThanOrEqual(2 * compiled.size * (text.length + 1))
        expect(compiled.size).toBeLessThanOrEqual(1_000)
      }),
    )
  })

  it('is never found in a text of more than 1,000 units', () => {
    const compiled = new Pattern('a')
    expect(compiled.isIn('a'.repeat(1_000))).toBe(true)
    expect(compiled.isIn('a'.repeat(1_001))).toBe(false)
    expect(compiled.steps).toBe(0)
  })

  it('answers each text anew', () => {
    const compiled = new Pattern('^[a-f]+$')
    expect(['cafe', 'cake', 'cafe', '', 'x', 'face'].map((text) => compiled.isIn(text))).toEqual([
      true,
      false,
      true,
      false,
      false,
      true,
    ])
  })

  it('may be written out to 1,000 steps and no more', () => {
    expect(new Pattern('a{999}').size).toBe(1_000)
    expect(new Pattern('a{999}').isIn('a'.repeat(999))).toBe(true)
    for (const source of [
      'a{1000}',
      '(a{999}){999}',
      '((a{100}){100}){100}',
      '(){1000000000}',
      '(()*){99999}',
      `a{${'9'.repeat(900)}}`,
      `(a{${'9'.repeat(400)}}){0}`,
      'a{0,999}',
    ]) {
      expect(() => new Pattern(source), source).toThrow('written out it has more than 1,000 steps; repeat less')
    }
  })

  it.each([
    ['', 'an empty pattern is found in every text'],
    ['a'.repeat(1_001), 'a pattern has at most 1,000 characters, not 1001'],
    ['('.repeat(500), 'groups may be 100 deep'],
    ['(a', 'a group is not closed with ")" (at character 2)'],
    ['a)', '")" closes nothing; write "\\)" for the character'],
    ['[a', 'a class is not closed with "]"'],
    ['[]', '[ ] has no characters in it'],
    ['[^]', '[ ] has no characters in it'],
    ['[z-a]', 'a range in [ ] ends before it begins'],
    ['[\\d-z]', 'a range in [ ] goes from one character to another'],
    ['*a', '"*" repeats nothing; write "\\*" for the character'],
    ['a|+', '"+" repeats nothing'],
    ['^*', '"*" repeats nothing'],
    ['$?', '"?" repeats nothing'],
    ['a{', '"{" stands alone; write "\\{" for the character'],
    ['a{,2}', '"{" stands alone'],
    ['a}', '"}" stands alone'],
    ['a]', '"]" stands alone'],
    ['a{3,2}', '"{3,2}" ends before it begins'],
    ['a*?', '"*" is followed by a second quantifier; leave it out, or put what comes before it in ( )'],
    ['a{999}{999}', '"{999}" is followed by a second quantifier'],
    ['a++', '"+" is followed by a second quantifier'],
    ['(a)\\1', '"\\1" refers back to a group, which is not taken'],
    ['\\k<a>', '"\\k" refers back to a group'],
    ['(?=a)', 'only ( ) and (?: ) are taken, no look-around, named group or flag'],
    ['(?!a)', 'only ( ) and (?: ) are taken'],
    ['(?<=a)', 'only ( ) and (?: ) are taken'],
    ['(?<name>a)', 'only ( ) and (?: ) are taken'],
    ['(?i:a)', 'only ( ) and (?: ) are taken'],
    ['\\bword', '"\\b" is not taken'],
    ['\\p{L}', '"\\p" is not taken'],
    ['\\0', '"\\0" is not taken'],
    ['\\x4', '"\\x" is not taken'],
    ['\\u{110000}', '"\\u{110000}" is no character'],
    ['a\\', 'it ends with a backslash; write "\\\\" for the character'],
  ])('is refused as %j', (source, reason) => {
    expect(() => new Pattern(source)).toThrow(SyntaxError)
    expect(() => new Pattern(source)).toThrow(reason)
  })
})
