import {
  FeatureFlags,
  type BooleanFlagName,
  type FlagContext,
  type FlagDefinitions,
  type FlagName,
  type FlagScope,
  type FullContext,
  type JsonValue,
  type SegmentDefinitions,
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
const words: 'plain' | 'cards' = flags.explain('theme', context).value
const ran = (): number => 1
void (flags.run('search', context, ran, async () => 'old') satisfies Promise<number | string>)
void flags.override('theme', { guildId: 1n }, 'cards', { why })
void flags.override('search', { userId: 1 }, false, { why })
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
rich.isEnabled('search', { guildId: null, attributes })
// @ts-expect-error a rule that shares out guilds counts them
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
// @ts-expect-error so must a handle
rich.flag('inbox').isEnabled({ guildId: '1', attributes })
// @ts-expect-error and whoever explains
rich.explain('inbox', { guildId: '1', attributes })
// @ts-expect-error and evaluates
rich.evaluate('inbox', { userId: '1' })
// @ts-expect-error and runs
void rich.run('inbox', undefined, ran, ran)
// @ts-expect-error a flag that counts ids takes a context
flags.isEnabled('newSearch')
// @ts-expect-error so does its handle
flags.flag('newSearch').isEnabled()
// @ts-expect-error and that of variants
flags.flag('theme').variant()
// @ts-expect-error an override names a variant
void rich.override('layout', { guildId: '1' }, { rows: 3 }, { why })
// @ts-expect-error a rule that answers with no variant
new FeatureFlags({ flags: { t: { default: 'a', variants: ['a'], rules: [{ when: { guildId: '1' }, value: 'b' }] } } })
// @ts-expect-error a rule that weighs what is no variant
new FeatureFlags({ flags: { t: { default: 'a', variants: ['a'], rules: [{ when: {}, weights: { b: 1 } }] } } })
// @ts-expect-error a misspelt property of a rule
new FeatureFlags({ flags: { a: { rules: [{ when: { plan: 'pro' } }, { when: { plan: 'x' }, percentge: 5 }] } } })
// @ts-expect-error the same where there are variants
new FeatureFlags({ flags: { t: { default: 'a', variants: ['a'], rules: [{ when: { plan: 'pro' }, valu: 'a' }] } } })
// @ts-expect-error a misspelt operator
new FeatureFlags({ flags: { a: { rules: [{ when: { seats: { atLeast: 1, lesThan: 9 } } }] } } })
// @ts-expect-error a misspelt operator of what must not be
new FeatureFlags({ flags: { a: { rules: [{ when: { seats: { not: { atLeast: 1, lesThan: 9 } } } }] } } })
// @ts-expect-error an attribute that was not declared
new FeatureFlags({ attributes: { plan: 'string' }, flags: { a: { rules: [{ when: { plan: 'pro', seats: 1 } }] } } })
// @ts-expect-error nor may a segment ask for it
new FeatureFlags({ attributes: { plan: 'string' }, segments: { large: { seats: { atLeast: 9 } } }, flags: {} })
// @ts-expect-error a misspelt operator in a segment
new FeatureFlags({ segments: { large: [{ seats: { atLeast: 9, lesThan: 99 } }] }, flags: {} })
// The ids need no declaration.
new FeatureFlags({
  attributes: { plan: 'string' },
  segments: { early: { guildId: ['1'], plan: { in: ['pro'], not: { startsWith: 'p' } } } },
  flags: {
    a: { rules: [{ when: { userId: '1', plan: { exists: true } }, segment: 'early', description: 'friends' }] },
  },
})
// @ts-expect-error a misspelt segment
new FeatureFlags({ segments: { staff: { guildId: '1' } }, flags: { a: { rules: [{ segment: 'stafff' }] } } })
const segments = { staff: { guildId: '1' }, early: { guildId: '2' } }
// @ts-expect-error the same where there are variants
new FeatureFlags({ segments, flags: { t: { default: 1, variants: [1], rules: [{ segment: 'erly', value: 1 }] } } })
// @ts-expect-error the same in a later rule
new FeatureFlags({ segments, flags: { a: { rules: [{ segment: 'early' }, { when: {}, segment: 'staf' }] } } })
// Segments are no matter of whoever is handed the flags.
const segmented = { a: { rules: [{ segment: 'staff' }] } } as const
new FeatureFlags({ segments, flags: segmented }) satisfies FeatureFlags<typeof segmented>
// @ts-expect-error a segment where none are declared
new FeatureFlags({ flags: { a: { rules: [{ segment: 'staff' }] } } })
// What is put together at run time is checked at run time.
declare const someRules: { readonly segment: string }[]
declare const someSegments: SegmentDefinitions
new FeatureFlags({ flags: { a: { rules: someRules } } })
new FeatureFlags({ segments: someSegments, flags: { a: { rules: [{ segment: 'staff' }] } } })
// @ts-expect-error an attribute of no known type
new FeatureFlags({ flags: {}, attributes: { plan: 'text' } })

// A scope answers for the flags whose ids it was told, as the flags themselves do.
const [ofGuild, ofUser, ofBoth] = [
  flags.for({ guildId: '1' }),
  rich.for({ userId: '2', attributes }),
  rich.for(everything),
]
ofGuild.isEnabled('newSearch')
ofGuild.isEnabled(flags.flag('newSearch'))
ofGuild.variant('theme') satisfies 'plain' | 'cards'
ofUser.isEnabled('inbox')
ofUser.isEnabled(rich.flag('inbox'))
for (const name of ['inbox', 'search'] as const) ofBoth.isEnabled(name)
rich.for({ guildId: null, attributes }).variant('limit') satisfies 10 | 50
flags.for().isEnabled('search')
// @ts-expect-error it was told no user
rich.for({ guildId: '1', attributes }).isEnabled('inbox')
// @ts-expect-error it was told no guild, not even that there is none
ofUser.isEnabled('search')
// @ts-expect-error nor does it count weights without one
ofUser.variant('limit')
// @ts-expect-error nor explain
ofUser.explain('layout')
// @ts-expect-error nor run
void ofUser.run('search', ran, ran)
// @ts-expect-error a handle tells no more
ofUser.isEnabled(rich.flag('search'))
// @ts-expect-error neither does one of variants
ofUser.variant(rich.flag('limit'))
// @ts-expect-error it was told of nobody
flags.for().isEnabled('newSearch')
// @ts-expect-error a misspelt id
flags.for({ guildId: '1', usrId: '2' })
// A scope that a function takes was told both ids, unless it says which was not.
function greet(scope: FlagScope<typeof declaredFlags>): boolean {
  return scope.isEnabled('newSearch')
}
function greetGuild(scope: Pick<FlagScope<typeof declaredFlags, 'user'>, 'isEnabled'>): boolean {
  return scope.isEnabled('newSearch')
}
const declaredFlags = { newSearch: { percentage: 25, by: 'guild' } } as const
const few = new FeatureFlags({ flags: declaredFlags })
greet(few.for({ guildId: '1', userId: null }))
greetGuild(few.for({ guildId: '1', userId: null }))
greetGuild(few.for({ guildId: '1' }))
// @ts-expect-error it was not told the user
greet(few.for({ guildId: '1' }))
function askScope<D extends FlagDefinitions>(scope: FlagScope<D>, name: BooleanFlagName<D>): boolean {
  return scope.isEnabled(name)
}
askScope(flags.for(context), 'newSearch')

// Flags whose names are known only at run time answer for any name.
declare const loaded: FlagDefinitions
const dynamic = new FeatureFlags({ flags: loaded })
'anything' satisfies BooleanFlagName<typeof loaded>
'anything' satisfies VariantFlagName<typeof loaded>
dynamic.isEnabled('anything') satisfies boolean
dynamic.variant('anything') satisfies JsonValue
dynamic.for().isEnabled('anything') satisfies boolean
dynamic.for({ guildId: '1' }).variant('anything') satisfies JsonValue

// Flags count what the first of those that they require counts, until one says `by`, and need what all of them need.
const family = new FeatureFlags({
  flags: {
    inbox: { percentage: 10, by: 'user' },
    child: { percentage: 5, requires: ['inbox'] },
    grandchild: { percentage: 5, requires: ['child'] },
    own: { percentage: 5, by: 'guild', requires: ['inbox'] },
    silent: { requires: ['child'] },
    plain: { requires: [] },
    // A circle is found at run time; the compiler does not stumble over it.
    left: { percentage: 5, requires: ['right'] },
    right: { requires: ['left'] },
  },
})
const [guild, user, both] = [{ guildId: '1' }, { userId: '2' }, { guildId: '1', userId: '2' }]
family.isEnabled('child', user)
family.isEnabled('grandchild', user)
family.isEnabled('silent', user)
family.isEnabled('own', both)
family.isEnabled('plain')
family.isEnabled('left', user)
// @ts-expect-error its first requirement counts users
family.isEnabled('child', guild)
// @ts-expect-error so does that of its requirement
family.isEnabled('grandchild', guild)
// @ts-expect-error it counts guilds, and what it requires counts users
family.isEnabled('own', guild)
// @ts-expect-error it counts nothing, but what it requires does
family.isEnabled('silent', guild)
declare const either: 'plain' | 'child'
family.isEnabled(either, user)
// @ts-expect-error one of the two takes a context
family.isEnabled(either)
declare const required: Record<string, { requires: string[]; percentage: number }>
new FeatureFlags({ flags: required }).isEnabled('anything')

// A name from outside is asked for once it was found; which kind it is, only `hasVariants` knows.
declare const typed: string
// @ts-expect-error nobody has looked whether there is such a flag
flags.isEnabled(typed)
if (flags.has(typed)) {
  flags.for().isEnabled(typed)
  flags.isEnabled(typed)
  flags.flag(typed).isEnabled(context)
  flags.for(context).isEnabled(typed)
  flags.status(typed)
  flags.explain(typed).value satisfies JsonValue
  void flags.override(typed, { guildId: '1' }, 'cards', { why })
  void flags.run(typed, undefined, ran, ran)
  // @ts-expect-error it may have none
  flags.variant(typed)
}
if (flags.hasVariants(typed)) flags.variant(typed, context) satisfies JsonValue
else if (flags.has(typed)) flags.isEnabled(typed)
for (const name of flags.names) flags.explain(name, { ...context, userId: null })
const undeclared = new FeatureFlags({ flags: {} })
if (undeclared.has(typed)) undeclared.isEnabled(typed) satisfies boolean
new FeatureFlags<FlagDefinitions>({ flags: {} }).isEnabled('anything')
if (rich.has(typed)) rich.isEnabled(typed, { attributes })
// @ts-expect-error rules of a flag that only a source knows may ask for attributes too
if (rich.has(typed)) rich.isEnabled(typed)

// A function may take any flags. A context that says both ids does for all of them.
function ask<D extends FlagDefinitions>(some: FeatureFlags<D>, name: BooleanFlagName<D>, asked: FlagContext): boolean {
  return some.isEnabled(name, asked)
}
function tell<D extends FlagDefinitions>(some: FeatureFlags<D>, name: FlagName<D>, asked: FullContext): unknown {
  return [some.explain(name, asked).value, some.evaluate(name, asked), some.status(name)]
}
ask(flags, 'newSearch', context)
tell(flags, 'theme', { guildId: '1', userId: null })
// @ts-expect-error a flag with variants is neither on nor off
ask(flags, 'theme', context)
// @ts-expect-error some flags count ids
tell(flags, 'theme', {})
