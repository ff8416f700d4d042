import { describe, expect, it } from 'vitest'
import { FeatureFlags } from './index.js'
import { HandSource } from './test-support/hand-source.js'

describe('a name from outside', () => {
  it('is looked up before it is asked for, also where only a source knows it', async () => {
    const document = { flags: { fromFile: true, layout: { default: 'small', variants: ['small', 'large'] } } }
    const flags = new FeatureFlags({
      flags: { search: { default: true }, theme: { default: 'plain', variants: ['plain', 'cards'] } },
      sources: [new HandSource(document)],
      environment: {},
    })
    await flags.start()
    const answerOf = (name: string): unknown => {
      if (flags.hasVariants(name)) return flags.variant(name)
      return flags.has(name) ? flags.isEnabled(name) : 'no such flag'
    }
    const names = ['search', 'theme', 'fromFile', 'layout', 'nothing', 'constructor']
    expect(names.map(answerOf)).toEqual([true, 'plain', true, 'small', 'no such flag', 'no such flag'])
    await flags.stop()
  })

  it('throws for a flag that has variants and is asked whether it is on', () => {
    const flags = new FeatureFlags({ flags: { theme: { default: 'plain', variants: ['plain'] } }, environment: {} })
    const name: string = 'theme'
    expect(() => flags.has(name) && flags.isEnabled(name)).toThrow('ask `variant` for it')
  })
})
