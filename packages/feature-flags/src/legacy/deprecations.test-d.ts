import { FeatureFlags } from '../index.js'
import { Deprecations, type Deprecation } from '../legacy.js'

declare const old: Deprecation
const deprecations = new Deprecations({ version: '2.0.0' })

// What is wrapped keeps its type, whatever that is.
const find = deprecations.wrap((word: string, limit?: number) => [word, limit], old)
find satisfies (word: string, limit?: number) => (string | number | undefined)[]
find('tea')
// @ts-expect-error it takes a word
find(7)

deprecations.wrap(async (word: string) => word, old) satisfies (word: string) => Promise<string>

function pick<T>(list: readonly T[]): T | undefined {
  return list[0]
}
deprecations.wrap(pick, old)([1, 2]) satisfies number | undefined

function overloaded(word: string): string
function overloaded(count: number): number
function overloaded(either: string | number): string | number {
  return either
}
const both = deprecations.wrap(overloaded, old)
both('tea') satisfies string
both(7) satisfies number

class Search {
  readonly prefix = 'a'
  find(word: string): string {
    return this.prefix + word
  }
}
const bound = deprecations.wrap(function (this: Search, word: string) {
  return this.find(word)
}, old)
bound.call(new Search(), 'tea') satisfies string
// @ts-expect-error it needs a Search for its `this`
bound('tea')

// @ts-expect-error a class is no function
deprecations.wrap(Search, old)
// @ts-expect-error it says neither why nor until when
deprecations.wrap(find, { name: 'find' })
// @ts-expect-error a misspelt property
deprecations.wrap(find, { name: 'find', reason: 'slow', removedIn: '3.0.0', insted: 'query' })

const flags = new FeatureFlags({ flags: { newSearch: {} }, environment: {} })
new Deprecations({ flags }).wrap((guildId: string, words: string[]) => words.length + guildId.length, {
  ...old,
  switchTo: {
    flag: 'newSearch',
    fn: (guildId, words) => guildId.length + words.length,
    context: (guildId, words) => ({ guildId: guildId.toLowerCase(), attributes: { words: words.length } }),
  },
})
deprecations.wrap((word: string) => word, {
  ...old,
  // @ts-expect-error the replacement returns something else
  switchTo: { flag: 'newSearch', fn: (word) => word.length },
})
// @ts-expect-error a Map says nothing about flags
new Deprecations({ flags: new Map<string, boolean>() })

interface OldSearch {
  find(word: string): string[]
  count(word: string, exact: boolean): Promise<number>
  close?(): void
}
const common = { name: 'OldSearch', reason: 'there is a new service', removedIn: '3.0.0' }

const search = deprecations.adapt<OldSearch>({
  ...common,
  methods: {
    find: (word) => [word.toUpperCase()],
    count: { fn: async (word, exact) => (exact ? word.length : 0), instead: 'service.total' },
  },
})
search satisfies OldSearch
void (search.count('tea', true) satisfies Promise<number>)

// @ts-expect-error a method is missing
deprecations.adapt<OldSearch>({ ...common, methods: { find: (word) => [word] } })
deprecations.adapt<OldSearch>({
  ...common,
  methods: {
    // @ts-expect-error it returns a word, not a list
    find: (word) => word,
    count: async () => 1,
  },
})
deprecations.adapt<OldSearch>({
  ...common,
  methods: {
    find: (word) => [word],
    count: async () => 1,
    // @ts-expect-error the old interface has no such method
    fnid: () => [],
  },
})
deprecations.adapt<OldSearch>({
  ...common,
  methods: { find: (word) => [word], count: async () => 1, close: () => {} },
})

interface WithVersion {
  readonly version: string
  find(word: string): string[]
}
deprecations.adapt<WithVersion>({
  ...common,
  methods: { find: (word) => [word] },
  values: { version: () => '1.0.0' },
})
// @ts-expect-error the version is missing
deprecations.adapt<WithVersion>({ ...common, methods: { find: (word) => [word] } })
deprecations.adapt<WithVersion>({
  ...common,
  methods: {
    find(word) {
      return [this.version, word]
    },
  },
  // @ts-expect-error a version is a string
  values: { version: () => 1 },
})

deprecations.on('used', (use) => use.uses satisfies number)
deprecations.on('change', (change) => change.place satisfies string)
// @ts-expect-error there is no such event
deprecations.on('error', () => {})
