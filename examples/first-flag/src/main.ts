import { FeatureFlags } from '@evenkeel/feature-flags'

// A new search for a quarter of the guilds, and only where search is on at all.
const flags = new FeatureFlags({
  flags: {
    search: { default: true },
    newSearch: { percentage: 25, by: 'guild', requires: ['search'] },
  },
  failureThreshold: 2,
  environment: {},
})
flags.on('change', ({ message }) => console.log(message))

const guilds = Array.from({ length: 1_000 }, (_, index) => String(81384788765712384n + BigInt(index)))
const lucky = guilds.filter((guildId) => flags.isEnabled('newSearch', { guildId }))
console.log(lucky.length > 200 && lucky.length < 300) // => true

// The new path breaks on a Friday: the old one serves, and after the second failure the flag falls back for everyone.
const oldSearch = () => 'found by the old search'
const newSearch = () => {
  throw new Error('The index is empty')
}
for (const guildId of lucky.slice(0, 3)) console.log(await flags.run('newSearch', { guildId }, newSearch, oldSearch))
console.log(flags.status('newSearch').state) // => fallen-back

// Whatever requires a flag goes down with it.
await flags.disable('search', { why: 'the index is rebuilt' })
console.log(flags.explain('newSearch', { guildId: lucky[0] ?? '' }).value) // => false
