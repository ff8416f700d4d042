import { OpenFeature, type Provider } from '@openfeature/server-sdk'
import { FeatureFlags } from '../index.js'
import { EvenkeelProvider, type FlagAnswer, type FlagAudience, type ProvidedChange } from '../openfeature.js'

const flags = new FeatureFlags({
  flags: { search: { default: true }, theme: { default: 'plain', variants: ['plain', 'cards'] } },
  environment: {},
})
const provider = new EvenkeelProvider({ flags, targetingKey: 'guild', onTrack: ({ name }) => name satisfies string })
provider satisfies Provider
OpenFeature.setProvider('bot', provider)

// Anything of the shape will do.
declare const others: {
  has(name: string): boolean
  explain(name: string, audience: FlagAudience): FlagAnswer
  on(event: 'change', listener: (change: ProvidedChange) => void): void
  off(event: 'change', listener: (change: ProvidedChange) => void): void
}
new EvenkeelProvider({ flags: others })

// @ts-expect-error a Map explains nothing
new EvenkeelProvider({ flags: new Map<string, boolean>() })
// @ts-expect-error the key is that of a user or a guild
new EvenkeelProvider({ flags, targetingKey: 'team' })
// @ts-expect-error no options
new EvenkeelProvider()
