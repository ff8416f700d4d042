import { describe, expect, it } from 'vitest'
import { Subject } from './context.js'
import { FlagDocumentError } from './document-error.js'
import { explain } from './explain.js'
import { Layers } from './layers.js'

const gold = { when: { tier: ['gold'] }, percentage: 100 }
const segments = { early: { guild: 'a' }, late: { guild: 'z' } }

/** What a flag with these rules answers to a gold guild of a, and by which rule. */
function answered(layers: Layers, rules: readonly object[], others: object = {}): string {
  layers.applyDocument(0, 'a document', { segments, flags: { search: { rules } }, ...others })
  const { record } = layers.current.flags.get('search') ?? {}
  if (record === undefined) throw new Error('There is no such flag')
  const subject = new Subject({ guildId: '1', attributes: { tier: 'gold', guild: 'a' } })
  return explain(record, layers.current, subject).why
}

function newLayers(): Layers {
  const nothing = { definitions: {}, segments: {}, patterns: false, attributes: undefined, environment: {} }
  return new Layers({ ...nothing, at: 0, sharesTrips: false })
}

describe('rules that are read again', () => {
  it.each([
    ['the same', [gold]],
    ['another share', [{ ...gold, percentage: 0 }]],
    ['other conditions', [{ ...gold, when: { tier: ['silver'] } }]],
    ['another description', [{ ...gold, description: 'the big ones' }]],
    ['a segment', [{ ...gold, segment: 'late' }]],
    ['a segment in place of conditions', [{ segment: 'early' }]],
    ['one before', [{ when: { tier: 'gold' }, value: false }, gold]],
    ['one behind', [gold, { segment: 'early' }]],
    ['none', []],
  ])('answer as when they are read for the first time: %s', (_, rules) => {
    const layers = newLayers()
    answered(layers, [gold])
    expect(answered(layers, rules)).toBe(answered(newLayers(), rules))
    expect(answered(layers, [gold])).toBe(answered(newLayers(), [gold]))
  })

  it('follow a segment that is described otherwise', () => {
    const layers = newLayers()
    const inSegment = [{ segment: 'early', percentage: 100 }]
    expect(answered(layers, inSegment)).toContain('segment')
    const others = { segments: { early: { guild: 'b' } } }
    expect(answered(layers, inSegment, others)).toBe(answered(newLayers(), inSegment, others))
    expect(answered(layers, [{ ...gold, percentage: 50 }], others)).toContain('50 %')
  })

  it('are refused as at first where they are not as they must be', () => {
    const layers = newLayers()
    answered(layers, [gold])
    expect(() => answered(layers, [{ ...gold, percentage: 101 }])).toThrow(FlagDocumentError)
  })
})
