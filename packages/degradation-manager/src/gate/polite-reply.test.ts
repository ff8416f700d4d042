import { describe, expect, it } from 'vitest'
import { ShedError } from '../errors.js'
import { politeReply } from './polite-reply.js'

const shed = (retryAfterMs: number | undefined): ShedError => new ShedError('images', 'full', retryAfterMs)

describe('when to try again', () => {
  it.each([
    [0, 'in 1 second'],
    [1, 'in 1 second'],
    [90_000, 'in 90 seconds'],
    [90_001, 'in 2 minutes'],
    [5_400_000, 'in 90 minutes'],
    [5_400_001, 'in 2 hours'],
    [129_600_000, 'in 36 hours'],
    [129_600_001, 'in 2 days'],
    [Infinity, 'later'],
    [undefined, 'later'],
    [-1, 'later'],
    [NaN, 'later'],
  ])('after %d ms is said as people say it, never too early: %s', (ms, again) => {
    expect(politeReply(shed(ms))).toBe(`This is taking a break. Please try again ${again}.`)
  })
})

describe('words of your own', () => {
  it.each([
    ['give nothing', () => ''],
    ['give no text', () => 1 as never],
    [
      'throw',
      () => {
        throw new Error('a template')
      },
    ],
  ])('that %s are replaced by those of evenkeel', (_, resting) => {
    const reply = politeReply(shed(undefined), { locale: 'en', texts: { en: { resting } } })
    expect(reply).toBe('This is taking a break. Please try again later.')
  })

  it('count for the regions of their language, with times in that language', () => {
    const texts = { nl: { resting: ({ again }: { again: string | undefined }) => `Terug ${String(again)}.` } }
    expect(politeReply(shed(60_000), { locale: 'nl-BE', texts })).toBe('Terug over 60 seconden.')
  })

  it('in English stand in for every other language', () => {
    const texts = { en: { resting: () => 'Not now.' } }
    expect(politeReply(shed(1), { locale: 'pt-BR', texts })).toBe('Not now.')
  })

  it.each(['constructor', '__proto__', 'xx', 'not a tag', '-', ''])(
    'are not looked for under the name %o',
    (locale) => {
      expect(politeReply(shed(1_000), { locale })).toBe('This is taking a break. Please try again in 1 second.')
      expect(politeReply(shed(1_000), { locale, texts: {} })).toBe(
        'This is taking a break. Please try again in 1 second.',
      )
    },
  )
})

it('says of an explanation when the feature is back', () => {
  const explanation = { allowed: false, mode: 'MAINTENANCE', retryAfterMs: 600_000 }
  expect(politeReply(explanation, { command: '/draw' })).toBe(
    '/draw is closed for maintenance. Please try again in 10 minutes.',
  )
})

const hostile = {
  get code() {
    throw new Error('hostile')
  },
}

it.each([
  ['nothing', undefined],
  ['null', null],
  ['a text', 'a text'],
  ['an error', new Error('secret')],
  ['what cannot be read', hostile],
])('says nothing of what went wrong, be it %s', (_, cause) => {
  expect(politeReply(cause)).toBe('Sorry, something went wrong.')
})
