import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions } from './version.js'
import { isWithin, parseVersionRange } from './version-range.js'

describe('a range of versions', () => {
  it.each<[range: string, inside: string[], outside: string[]]>([
    ['1.2.3', ['1.2.3', 'v1.2.3', '1.2.3+build'], ['1.2.4', '1.2.3-rc.1']],
    ['=1.2.3-rc.1', ['1.2.3-rc.1'], ['1.2.3']],
    ['>=1.4.0 <2.0.0', ['1.4.0', '1.99.0', '2.0.0-beta'], ['1.3.9', '1.4.0-rc.1', '2.0.0']],
    ['>= 1.4.0   < 2.0.0', ['1.4.0'], ['2.0.0']],
    ['>1.4.0 <=1.5.0', ['1.4.1', '1.5.0', '1.5.0-rc.1'], ['1.4.0', '1.5.1']],
    ['>=1.4.0 <2.0.0 || 3.x', ['1.5.0', '3.0.0', '3.9.9', '3.0.0-rc.1'], ['2.0.0', '4.0.0', '4.0.0-0']],
    ['>1.4', ['1.5.0', '1.5.0-rc.1'], ['1.4.0', '1.4.9']],
    ['>1', ['2.0.0'], ['1.9.9']],
    ['>=1.4', ['1.4.0', '1.4.0-rc.1', '2.0.0'], ['1.3.9']],
    ['<1.4', ['1.3.9'], ['1.4.0', '1.4.0-rc.1']],
    ['<=1.4', ['1.4.9', '1.0.0'], ['1.5.0', '1.5.0-rc.1']],
    ['1.4', ['1.4.0', '1.4.9'], ['1.5.0', '1.3.0']],
    ['1.4.x', ['1.4.0', '1.4.9'], ['1.5.0', '1.5.0-0']],
    ['1.X.*', ['1.0.0', '1.9.9'], ['2.0.0', '0.9.0']],
    ['*', ['0.0.0', '0.0.0-0', '9.9.9'], []],
    ['^*', ['0.0.1'], []],
    ['^1.2.3', ['1.2.3', '1.9.0'], ['1.2.2', '1.2.3-rc.1', '2.0.0', '2.0.0-beta']],
    ['^1.2.3-beta.2', ['1.2.3-beta.2', '1.2.3-beta.11', '1.2.3', '1.9.0'], ['1.2.3-beta.1', '2.0.0']],
    ['^0.2.3', ['0.2.3', '0.2.9'], ['0.3.0', '0.3.0-rc.1', '1.0.0']],
    ['^0.0.3', ['0.0.3'], ['0.0.4', '0.0.4-rc.1', '0.1.0']],
    ['^0.0', ['0.0.0', '0.0.9'], ['0.1.0']],
    ['^0', ['0.0.0', '0.9.0'], ['1.0.0']],
    ['^1.2', ['1.2.0', '1.9.0'], ['1.1.9', '2.0.0']],
    ['~1.2.3', ['1.2.3', '1.2.9'], ['1.2.2', '1.3.0', '1.3.0-rc.1']],
    ['~1.2', ['1.2.0', '1.2.9'], ['1.3.0']],
    ['~1', ['1.0.0', '1.9.0'], ['2.0.0']],
    ['~0.2.3', ['0.2.9'], ['0.3.0']],
  ])('%s', (text, inside, outside) => {
    const range = parseVersionRange(text)
    for (const version of inside) expect(isWithin(range, version), version).toBe(true)
    for (const version of outside) expect(isWithin(range, version), version).toBe(false)
  })

  it.each([
    ['', 'there is nothing on one side of "||", or nothing at all; write "*" for any version'],
    ['1.x ||', 'there is nothing on one side of "||"'],
    ['|| 1.x', 'there is nothing on one side of "||"'],
    ['1.2.0 - 2.3.0', 'is written ">=1.2.0 <=2.3.0", not with "-"'],
    ['>=1.4.0,<2.0.0', '">=1.4.0,<2.0.0" is no version or bound such as ">=1.4.0", "^1.4" or "3.x"'],
    ['latest', '"latest" is no version or bound'],
    ['!=1.0.0', '"!=1.0.0" is no version or bound'],
    ['>', '">" is no version or bound'],
    ['1.2.3.4', '"1.2.3.4" is no version or bound'],
    ['1.x.3', 'in "1.x.3" a number follows a part that is open'],
    ['x.1', 'in "x.1" a number follows a part that is open'],
    ['1.2.x-beta', 'in "1.2.x-beta" a pre-release follows a part that is open'],
    ['>*', 'no version lies within ">*"'],
    ['<x', 'no version lies within "<x"'],
    ['01.2.3', 'the number 01 begins with 0 or is too large'],
    ['1.2.99999999999999999999', 'is too large'],
    ['9007199254740991', 'is too large'],
    ['1.2.3-01', 'the pre-release has an empty part, or a number that begins with 0'],
    ['1.2.3-a..b', 'the pre-release has an empty part'],
    ['1.x ||'.repeat(500), 'a range has at most 1,000 characters, not 3000'],
  ])('is refused as %j', (text, reason) => {
    expect(() => parseVersionRange(text)).toThrow(SyntaxError)
    expect(() => parseVersionRange(text)).toThrow(reason)
  })

  it.each(['1.4', 'abc', '', '1.2.3.4', '>=1.0.0'])('holds nothing that is no version: %j', (text) => {
    expect(isWithin(parseVersionRange('*'), text)).toBe(false)
  })

  it('keeps to its bounds, whichever they are', () => {
    const part = fc.nat({ max: 3 })
    const versions = fc
      .tuple(part, part, part, fc.constantFrom('', '-0', '-alpha', '-alpha.1', '-beta'))
      .map(([a, b, c, pre]) => `${a}.${b}.${c}${pre}`)
    fc.assert(
      fc.property(versions, versions, versions, (low, high, version) => {
        const isBetween = compareVersions(version, low) >= 0 && compareVersions(version, high) < 0
        expect(isWithin(parseVersionRange(`>=${low} <${high}`), version)).toBe(isBetween)
        expect(isWithin(parseVersionRange(`<${low} || >=${high}`), version)).toBe(
          compareVersions(version, low) < 0 || compareVersions(version, high) >= 0,
        )
        // `^` takes no more than what has the same major number, `~` no more than the same minor one.
        if (isWithin(parseVersionRange(`~${low}`), version)) {
          expect(isWithin(parseVersionRange(`>=${low}`), version)).toBe(true)
          expect(version.split('.').slice(0, 2)).toEqual(low.split('.').slice(0, 2))
        }
        if (isWithin(parseVersionRange(`^${low}`), version)) expect(version.split('.')[0]).toBe(low.split('.')[0])
      }),
    )
  })
})
