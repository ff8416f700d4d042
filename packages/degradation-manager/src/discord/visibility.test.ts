import { describe, expect, it } from 'vitest'
import { asMessage, isEphemeral, withoutVisibility } from './visibility.js'

const SILENT = 4096
const payload = { resolveBody: () => {}, options: { content: 'x', flags: 64 } }

describe('whether an answer is private', () => {
  it.each([
    ['a text', 'x', false],
    ['nothing', undefined, false],
    ['no flags', { content: 'x' }, false],
    ['another flag', { flags: SILENT }, false],
    ['a number', { flags: SILENT | 64 }, true],
    ['digits', { flags: '64' }, true],
    ['a big number', { flags: 64n }, true],
    ['a name', { flags: 'Ephemeral' }, true],
    ['a list', { flags: ['SuppressEmbeds', 'Ephemeral'] }, true],
    ['a bit field', { flags: { bitfield: 64 } }, true],
    ['the old option', { ephemeral: true }, true],
    ['what discord.js has built', payload, true],
  ])('is seen in %s', (_, answer, expected) => {
    expect(isEphemeral(answer)).toBe(expected)
  })
})

describe('an answer that goes where its visibility is settled', () => {
  it.each([
    ['a text', 'x', { content: 'x' }],
    ['a number', { content: 'x', flags: SILENT | 64 }, { content: 'x', flags: SILENT }],
    ['a name', { content: 'x', flags: 'Ephemeral' }, { content: 'x' }],
    ['a list', { content: 'x', flags: ['SuppressEmbeds', 'Ephemeral'] }, { content: 'x', flags: ['SuppressEmbeds'] }],
    ['a bit field', { content: 'x', flags: { bitfield: SILENT | 64 } }, { content: 'x', flags: SILENT }],
    ['old options', { content: 'x', ephemeral: true, fetchReply: true, withResponse: true }, { content: 'x' }],
    ['what discord.js has built', payload, payload],
  ])('keeps all else of it, given as %s', (_, answer, expected) => {
    expect(withoutVisibility(answer)).toEqual(expected)
  })
})

describe('an answer as a message of its own', () => {
  it.each([
    [true, 'x', { content: 'x', flags: ['Ephemeral'] }],
    [true, { content: 'x', flags: SILENT }, { content: 'x', flags: [SILENT, 'Ephemeral'] }],
    [true, { content: 'x', flags: ['SuppressEmbeds'] }, { content: 'x', flags: ['SuppressEmbeds', 'Ephemeral'] }],
    [true, payload, payload],
    [false, { content: 'x', flags: 64 | SILENT }, { content: 'x', flags: SILENT }],
  ])('that is private: %s, of %o', (ephemeral, answer, expected) => {
    expect(asMessage(answer, ephemeral)).toEqual(expected)
  })
})
