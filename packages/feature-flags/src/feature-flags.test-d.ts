import {
  FeatureFlags,
  type BooleanFlagName,
  type FlagContext,
  type FlagDefinitions,
  type JsonValue,
  type VariantFlagName,
} from './index.js'

const flags = new FeatureFlags({
  flags: {
    search: { default: true },
    newSearch: { percentage: 25, by: 'guild', requires: ['search'] },
    theme: { default: 'plain', variants: ['plain', 'cards'], weights: { plain: 80, cards: 20 }, requires: ['search'] },
  },
})
const context = { guildId: '81384788765712384', userId: null }
const why = 'a type test'

const isOn: boolean = flags.isEnabled('newSearch', context)
const theme: 'plain' | 'cards' = flags.variant('theme', context)
const reason: boolean = flags.explain('search').value
const words: 'plain' | 'cards' = flags.explain('theme').value
const ran = (): number => 1
void (flags.run('search', context, ran, async () => 'old') satisfies Promise<number | string>)
void flags.override('theme', { guildId: 1n }, 'cards', { why })
void flags.override('search', { userId: 1 }, false, { why })
declare const typed: string
if (flags.has(typed)) flags.status(typed)
void [isOn, theme, reason, words]

// @ts-expect-error a misspelt flag
flags.isEnabled('newSaerch', context)
// @ts-expect-error a flag with variants is neither on nor off
flags.isEnabled('theme', context)
// @ts-expect-error a flag that is on or off has no variants
flags.variant('search', context)
// @ts-expect-error not one of its variants
void flags.override('theme', context, 'crads', { why })
// @ts-expect-error an override is for one guild or one user
void flags.override('search', { guildId: '1', userId: '2' }, true, { why })
// @ts-expect-error a flag with variants has no percentage
void flags.setPercentage('theme', 5, { why })
// @ts-expect-error every change says why
void flags.disable('search')
// @ts-expect-error a scope knows the same names
flags.for(context).isEnabled('newSaerch')
// @ts-expect-error a scope knows the same variants
flags.for(context).variant('theme') satisfies 'crads'

// A chat library's objects have a guild, and keep their user where nobody would look.
declare const interaction: {
  id: string
  guildId: string | null
  user: { id: string }
  client: object
  channelId: string
}
declare const update: { chatId: number; from: number }
declare const member: { guildId: string; client: object }
// @ts-expect-error an interaction passed whole
flags.isEnabled('search', interaction)
// @ts-expect-error an interaction passed whole
flags.for(interaction)
// @ts-expect-error an interaction passed whole
void flags.run('search', interaction, ran, ran)
// @ts-expect-error nor anything else that knows its client
flags.explain('search', member)
// @ts-expect-error a misspelt property
flags.isEnabled('search', { guild: '1' })
// @ts-expect-error nothing that has neither a guild nor a user
flags.isEnabled('search', update)
const telegram: FlagContext = { guildId: -1001234567890, userId: 7n, attributes: { plan: 'pro' } }
flags.isEnabled('search', telegram)

// @ts-expect-error it requires a flag that is not declared
new FeatureFlags({ flags: { search: {}, newSearch: { requires: ['serach'] } } })
// @ts-expect-error it requires a flag that is never off
new FeatureFlags({ flags: { theme: { default: 'a', variants: ['a'] }, newSearch: { requires: ['theme'] } } })
// @ts-expect-error a misspelt property
new FeatureFlags({ flags: { search: { percentge: 25 } } })
// @ts-expect-error a default that is no variant
new FeatureFlags({ flags: { theme: { default: 'c', variants: ['a', 'b'] } } })
// @ts-expect-error a weight of no variant
new FeatureFlags({ flags: { theme: { default: 'a', variants: ['a', 'b'], weights: { c: 1 } } } })
// @ts-expect-error an option that does not exist
new FeatureFlags({ flags: {}, store: new Map() })

flags.on('change', (change) => {
  if (change.aspect === 'percentage') change.to satisfies number
  if (change.aspect === 'state') change.to satisfies 'active' | 'disabled' | 'fallen-back' | 'blocked'
  change.message satisfies string
})
// @ts-expect-error there is no such event
flags.on('error', () => {})

// Numbers and JSON are variants too.
const rich = new FeatureFlags({
  attributes: { plan: 'string', seats: 'number', beta: 'boolean?' },
  segments: { staff: { guildId: ['1'] } },
  flags: {
    limit: { default: 10, variants: [10, 50], weights: { 10: 1, 50: 1 } },
    layout: {
      default: 'small',
      variants: { small: { rows: 3 }, large: { rows: 9 } },
      rules: [
        { when: { plan: 'pro' }, value: 'large' },
        { segment: 'staff', weights: { small: 1, large: 1 } },
      ],
    },
    search: { rules: [{ when: { seats: { atLeast: 10 } }, percentage: 50 }] },
    inbox: { percentage: 10, by: 'user' },
  },
})
const attributes = { plan: 'pro', seats: 3 }
const everything = { guildId: '1', userId: '2', attributes }
rich.variant('limit', everything) satisfies 10 | 50
rich.variant('layout', everything).rows satisfies 3 | 9
rich.flag('layout').variant(everything).rows satisfies 3 | 9
rich.for(everything).variant(rich.flag('limit')) satisfies 10 | 50
rich.for(everything).isEnabled(rich.flag('search'))
void rich.override('layout', { guildId: '1' }, 'large', { why, forMs: 60_000 })
rich.isEnabled('search', { attributes })
// @ts-expect-error the attributes that were declared are missing
rich.isEnabled('search', { guildId: '1' })
// @ts-expect-error and so is the whole context
rich.isEnabled('search')
// @ts-expect-error an attribute of another type
rich.isEnabled('search', { attributes: { plan: 'pro', seats: '3' } })
// @ts-expect-error a scope needs them as well
rich.for({ guildId: '1' })
// @ts-expect-error a flag that counts users must be told the user
rich.isEnabled('inbox', { guildId: '1', attributes })
// @ts-expect-error a flag that counts guilds must be told the guild, or that there is none
flags.isEnabled('newSearch', { userId: '2' })
// @ts-expect-error an override names a variant
void rich.override('layout', { guildId: '1' }, { rows: 3 }, { why })
// @ts-expect-error a rule that answers with no variant
new FeatureFlags({ flags: { t: { default: 'a', variants: ['a'], rules: [{ when: { guildId: '1' }, value: 'b' }] } } })
// @ts-expect-error an attribute of no known type
new FeatureFlags({ flags: {}, attributes: { plan: 'text' } })

// Flags whose names are known only at run time answer for any name.
declare const loaded: FlagDefinitions
const dynamic = new FeatureFlags({ flags: loaded })
'anything' satisfies BooleanFlagName<typeof loaded>
'anything' satisfies VariantFlagName<typeof loaded>
dynamic.isEnabled('anything') satisfies boolean
dynamic.variant('anything') satisfies JsonValue
