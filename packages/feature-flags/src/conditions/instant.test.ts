import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isoInstant } from './instant.js'

describe('an ISO 8601 instant', () => {
  it.each([
    ['2026-11-28', '2026-11-28T00:00:00.000Z'],
    ['2026-11-28T08:30Z', '2026-11-28T08:30:00.000Z'],
    ['2026-11-28T08:30:15Z', '2026-11-28T08:30:15.000Z'],
    ['2026-11-28T08:30:15.5Z', '2026-11-28T08:30:15.500Z'],
    ['2026-11-28T08:30:15.123456Z', '2026-11-28T08:30:15.123Z'],
    ['2026-11-28T08:30:15+02:00', '2026-11-28T06:30:15.000Z'],
    ['2026-11-28T23:30-05:30', '2026-11-29T05:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['2000-02-29', '2000-02-29T00:00:00.000Z'],
    ['0100-01-01', '0100-01-01T00:00:00.000Z'],
  ])('may be %s', (text, instant) => expect(new Date(isoInstant(text)).toISOString()).toBe(instant))

  it.each([
    '',
    '2026',
    '2026-11',
    '2026-1-2',
    '28.11.2026',
    '11/28/2026',
    'tomorrow',
    '2026-02-29',
    '1900-02-29',
    '2026-02-30',
    '2026-04-31',
    '2026-13-01',
    '2026-00-10',
    '2026-01-00',
    '2026-11-28 08:30Z',
    '2026-11-28T08:30',
    '2026-11-28T08:30:15',
    '2026-11-28T24:00Z',
    '2026-11-28T08:60Z',
    '2026-11-28T08:30:60Z',
    '2026-11-28T08:30:15.Z',
    '2026-11-28T08:30:15+0200',
    '2026-11-28T08:30:15+02:00 ',
    '2026-11-28T08:30:15+24:00',
    '2026-11-28T08:30:15Zulu',
    '2026-11-28T',
    '2026-11-28x',
    '0050-01-01',
    '+002026-11-28',
    '1764316800000',
  ])('is not %j', (text) => expect(isoInstant(text)).toBeNaN())

  it('is read as Date writes it, and any other text as Date reads it or not at all', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0100-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (date) => {
          expect(isoInstant(date.toISOString())).toBe(date.getTime())
        },
      ),
    )
    const texts = fc.stringMatching(
      /^20[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-6][0-9](:[0-6][0-9])?(Z|[+-][01][0-9]:[0-6]0)?)?$/,
    )
    fc.assert(
      fc.property(fc.oneof(texts, fc.string()), (text) => {
        const instant = isoInstant(text)
        expect(Number.isNaN(instant) || instant === Date.parse(text)).toBe(true)
      }),
    )
  })
})
