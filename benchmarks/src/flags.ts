import { GrowthBookClient } from '@growthbook/growthbook'
import { FeatureFlags } from '@evenkeel/feature-flags'
import { snowflakes } from './ids.js'
import { measure, print } from './measure.js'

/** `isEnabled` of one of a hundred flags at 25 %, for ten thousand guilds. */
export async function isEnabled(): Promise<void> {
  const ids = snowflakes(10_000)
  const contexts = ids.map((guildId) => ({ guildId }))
  const scopes = ids.slice(0, 100)

  const names = Array.from({ length: 100 }, (_, index) => `flag${index}`)
  const flags = new FeatureFlags({
    flags: { asked: { percentage: 25 }, ...Object.fromEntries(names.map((name) => [name, { percentage: 10 }])) },
    environment: {},
  })

  const growthbook = new GrowthBookClient().initSync({
    payload: {
      features: Object.fromEntries(
        [...names, 'asked'].map((name) => [
          name,
          {
            defaultValue: false,
            rules: [{ force: true, coverage: 0.25, hashAttribute: 'guildId', hashVersion: 2, seed: name }],
          },
        ]),
      ),
    },
  })
  const growthbookContexts = ids.map((guildId) => ({ attributes: { guildId } }))

  const floor = new Map([...names, 'asked'].map((name) => [name, { salt: murmurLike(name), threshold: 2 ** 30 }]))
  let sink = 0

  print(
    'flags: isEnabled, 25 % of guilds, 100 flags, 10,000 guilds',
    await measure(
      [
        {
          name: 'floor: Map lookup, hash of the id, compare',
          run(count) {
            for (let i = 0; i < count; i++) {
              const flag = floor.get('asked')
              const id = ids[i % ids.length] ?? ''
              if (flag !== undefined && (murmurLike(id) ^ flag.salt) >>> 0 < flag.threshold) sink++
            }
          },
        },
        {
          name: 'evenkeel isEnabled(name, context)',
          run(count) {
            for (let i = 0; i < count; i++) if (flags.isEnabled('asked', contexts[i % contexts.length])) sink++
          },
        },
        {
          name: 'evenkeel, scoped by context',
          run(count) {
            const perScope = count / scopes.length
            for (const guildId of scopes) {
              const scope = flags.for({ guildId })
              for (let i = 0; i < perScope; i++) if (scope.isEnabled('asked')) sink++
            }
          },
        },
        {
          name: '@growthbook/growthbook isOn(name, context)',
          run(count) {
            for (let i = 0; i < count * 0.1; i++) {
              const context = growthbookContexts[i % growthbookContexts.length]
              if (context !== undefined && growthbook.isOn('asked', context)) sink++
            }
          },
          share: 0.1,
        },
      ],
      500_000,
    ),
  )
  if (sink < 0) throw new Error('Never: the sum keeps the loops from being optimised away')
}

/** The body of MurmurHash3 over ASCII, without its fuss about other text. */
function murmurLike(text: string): number {
  let h = 0
  let i = 0
  for (; i + 4 <= text.length; i += 4) {
    let k =
      text.charCodeAt(i) |
      (text.charCodeAt(i + 1) << 8) |
      (text.charCodeAt(i + 2) << 16) |
      (text.charCodeAt(i + 3) << 24)
    k = Math.imul(k, 0xcc9e2d51)
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
    h ^= k
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
  }
  for (; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0xcc9e2d51)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
