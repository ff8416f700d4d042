import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions, isVersion } from './version.js'

const part = fc.nat({ max: 12 })
const identifier = fc.oneof(
  fc.nat({ max: 12 }).map(String),
  fc.stringMatching(/^[a-c-]{1,3}$/),
  fc.constantFrom('rc1', '1a'),
)
const preRelease = fc.oneof(
  fc.constant(''),
  fc.array(identifier, { minLength: 1, maxLength: 3 }).map((parts) => `-${parts.join('.')}`),
)
const build = fc.constantFrom('', '+7', '+exp.sha.5114f85')
const versions = fc
  .tuple(part, part, part, preRelease, build)
  .map(([a, b, c, pre, meta]) => `${a}.${b}.${c}${pre}${meta}`)

describe('a version', () => {
  it.each([
    '0.0.0',
    '1.9.0',
    'v1.2.3',
    '1.0.0-alpha',
    '1.0.0-0.3.7',
    '1.0.0-x-y-z.--',
    '1.0.0-alpha+001',
    '1.0.0+21AF26D3----117B344092BD',
    '1.0.0-0A.is.legal',
    '99999999999999999999999.999999999999999999.99999999999999999',
  ])('may be %s', (text) => expect(isVersion(text)).toBe(true))

  it.each([
    '',
    '1',
    '1.2',
    '1.2.3.4',
    '01.2.3',
    '1.02.3',
    '1.2.3-',
    '1.2.3-01',
    '1.2.3-a..b',
    '1.2.3+',
    '1.2.3+a+b',
    '1.2.3 ',
    'V1.2.3',
    '=1.2.3',
    '1.2.3-é',
    '١.٢.٣',
    `1.2.3-${'a'.repeat(300)}`,
  ])('is not %j', (text) => expect(isVersion(text)).toBe(false))
})

describe('the order of versions', () => {
  it.each([
    ['1.0.0', '2.0.0', '2.1.0', '2.1.1'],
    ['1.0.0-alpha', '1.0.0'],
    [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
    ],
    ['1.9.0', '1.10.0', '1.11.0'],
    ['1.0.9007199254740993', '1.0.9007199254740994', '1.0.100000000000000000000000'],
  ])('is that of semver.org: %s < %s ...', (...ascending) => {
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) {
        expect(Math.sign(compareVersions(a, b)), `${a} and ${b}`).toBe(Math.sign(i - j))
        expect(Math.sign(compareVersions(`v${a}`, `${b}+build.7`)), `v${a} and ${b}+build.7`).toBe(Math.sign(i - j))
      }
    }
  })

  it('is total: each pair has one order, and orders do not go in circles', () => {
    fc.assert(
      fc.property(versions, versions, versions, (a, b, c) => {
        expect(isVersion(a)).toBe(true)
        expect(compareVersions(a, a)).toBe(0)
        expect(Math.sign(compareVersions(a, b))).toBe(0 - Math.sign(compareVersions(b, a)))
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
        if (compareVersions(a, b) === 0) expect(a.split('+')[0]).toBe(b.split('+')[0])
      }),
    )
  })
})
