import { describe, expect, it } from 'vitest'
import { bucketOf, placeOf } from './bucketing.js'
import { FeatureFlags } from './index.js'
import { murmur3 } from './murmur3.js'

/*
 * Computed from the definition of MurmurHash3 x86_32 by this program, in a language whose integers do not overflow. It
 * shares no line with ours. They never change: who is in, is in on every Node, in every process and every later version.
 *
 *     M = 0xffffffff
 *     rotl = lambda x, r: ((x << r) | (x >> (32 - r))) & M
 *     scramble = lambda k: rotl(k * 0xcc9e2d51 & M, 15) * 0x1b873593 & M
 *     def fmix32(h):
 *         h = (h ^ h >> 16) * 0x85ebca6b & M
 *         h = (h ^ h >> 13) * 0xc2b2ae35 & M
 *         return h ^ h >> 16
 *     def murmur3(data):
 *         h, n = 0, len(data)
 *         for i in range(0, n - n % 4, 4):
 *             h = (rotl(h ^ scramble(int.from_bytes(data[i:i + 4], 'little')), 13) * 5 + 0xe6546b64) & M
 *         return fmix32(h ^ scramble(int.from_bytes(data[n - n % 4:], 'little')) ^ n)
 *     utf8 = lambda text: text.encode('utf-16-le', 'surrogatepass').decode('utf-16-le', 'replace').encode()
 *     bucket = lambda id, salt: fmix32(murmur3(utf8(id)) ^ murmur3(utf8(salt)))
 */
const salts = ['search', 'newSearch', '__proto__', '\u010de\u0161tina', '\ud83d\udea9', ' '] as const
const golden: readonly [id: string, ...buckets: number[]][] = [
  ['81384788765712384', 0xd9fc7b9f, 0x1630bc12, 0x0f8d41df, 0x3f91f81c, 0xee780cde, 0xffab69cb],
  ['53908099506183680', 0x780cf88d, 0x4e714dda, 0xf4282407, 0xa570e3a4, 0x39d7d479, 0xb5f4265c],
  ['197038439483310086', 0x2cdd8586, 0x047b681d, 0xd5d789db, 0xb6a80b52, 0xb685a9e2, 0x388954ff],
  ['1099511627776000000', 0x141bbb5b, 0x21aa6a8e, 0x99e1f58f, 0xf9e69d66, 0xc175a4fb, 0xe293ea8c],
  ['9223372036854775807', 0x4a3195da, 0x18956cca, 0x8e83ea6d, 0x8af2d8db, 0x7dd7e09a, 0x9d293d21],
  ['0', 0x1ae7d4fb, 0x1ffd58ac, 0x90dcfce3, 0xa4542b51, 0xf9995c90, 0x3dbd51ba],
  ['1', 0xec111190, 0x39c014c4, 0x07ff638d, 0x7a3754a4, 0x2a614d7c, 0x87a7bbcc],
  ['-1001234567890', 0x014aed60, 0xbff8d143, 0x5d4506c5, 0xdcd64f46, 0x1c1aa4cc, 0xcd602686],
  ['U024BE7LH', 0xd0f3cc6f, 0x7bce74d9, 0x8034c695, 0x051beacc, 0xf5ae59a6, 0x9e33b9f5],
  ['T0000/C42', 0xde66c97a, 0x2246b69c, 0xb3dc1aa6, 0x4a4625fa, 0x1fcdb9bb, 0x609a19ac],
  [' ', 0x823f9b3a, 0xf97cfba0, 0x8af45104, 0xa101b84f, 0xdb6d7c89, 0x00000000],
  ['  ', 0xd5b3213d, 0x542dcc59, 0x7acef1eb, 0x2630a639, 0x81b7d8a3, 0x25ae9754],
  ['\u0009', 0xc63eac35, 0xae0f81a4, 0xa8b64dc9, 0x0e21cb90, 0x5287379b, 0x6e6d6ee5],
  ['\u0000', 0x545ab434, 0x19a41794, 0x00895820, 0x2796e83d, 0x730e2016, 0x9fc6b015],
  ['\u200b', 0x03aa13d4, 0x5a0b3cc4, 0xae067e3b, 0x4b690575, 0x8353295e, 0x796ac47f],
  ['\ufeff1', 0x28f8faa6, 0x78264802, 0xf28fb8c4, 0x298f9199, 0x9ad282cc, 0x9bc2b82f],
  ['caf\u00e9', 0xc4f0dae3, 0x6eb574f1, 0xf04bc236, 0xb77641e3, 0x81d77a33, 0x7f0a89b1],
  ['cafe\u0301', 0xbaa7c0ed, 0x30dda8cd, 0x24101f11, 0xee3e20fb, 0xb353db29, 0x3b898ce4],
  ['\u65e5\u672c', 0x8c14828b, 0xfb79755f, 0xe0946145, 0xd9b12b2f, 0x09d6aa50, 0x513669d3],
  ['\u03a9mega', 0xe0a2c604, 0xca5efa9e, 0xdaeda8dc, 0x41efe8c9, 0x988bc339, 0xc7d721ee],
  ['\u4f60\u597d\uff0c\u4e16\u754c', 0x81d26d9d, 0x385f60e1, 0xd887d2bd, 0xe44cb4a5, 0x36708a7a, 0x8933a4e5],
  ['\ud83d\udc4b', 0x92530967, 0xe6847029, 0xd0835b8e, 0x735eba0e, 0xbff24d2c, 0xcd3c172f],
  [
    '\ud83d\udc69\u200d\ud83d\udc69\u200d\ud83d\udc67\u200d\ud83d\udc66',
    0xa3b734f3,
    0xf8c949e9,
    0x2156536f,
    0xa47c854e,
    0xe73697ee,
    0x4a8e6660,
  ],
  ['\ud83c\udde8\ud83c\uddff', 0x931b1ece, 0x9eae3e89, 0xf6463cd6, 0x4c749e56, 0xf3a7474b, 0xee00fd48],
  ['\ud83d', 0xa343b8b4, 0xf4ec064e, 0x37e7e040, 0x0201286f, 0x477a41af, 0x0a9bb5e9],
  ['a\udc4b', 0xce6e9036, 0x47e9b093, 0x3fffa961, 0x468c59e9, 0xc15f2510, 0xc5fe3ba5],
  ['\udc4b\ud83d', 0xdd925ac9, 0x149155e1, 0xbbc76a4a, 0x01cab96e, 0x2a6c8bec, 0xb83cc5d8],
  ['\uffff', 0x3108843b, 0xaa0f5b56, 0x22e83f3d, 0xc6c968cc, 0xe870a8ca, 0xdf5224f7],
  ['__proto__', 0x334187da, 0x7167aeea, 0x00000000, 0xea3e3abd, 0x718286b8, 0x8af45104],
  ['constructor', 0x6e19db0c, 0xe4004a2d, 0xb6dfffd0, 0x95e83d6e, 0xed180086, 0xcb6743d7],
  ['x'.repeat(63), 0xb310a3cd, 0x5b26d445, 0x70b4708c, 0x07e7df2a, 0x5efb0e7c, 0x031d2434],
  ['1234567890'.repeat(100), 0xddad249d, 0xa048b6f1, 0xcf324bad, 0xb075b8db, 0xcbe55c9e, 0xb9227034],
  ['\u00e9'.repeat(250), 0x534affa9, 0x5239cdc6, 0x6ae7ec14, 0xd88f9505, 0x2cee407b, 0x5a4748f1],
]

describe('the place of an id', () => {
  it.each(golden)('%j is what it was and will be, for every salt', (id, ...buckets) => {
    expect(salts.map((salt) => bucketOf(murmur3(id), murmur3(salt)) + 2 ** 31)).toEqual(buckets)
    expect(salts.map((salt) => placeOf(bucketOf(murmur3(id), murmur3(salt))))).toEqual(
      buckets.map((bucket) => (bucket / 2 ** 32) * 100),
    )
  })

  it.each([
    ['81384788765712384', 'search', 85.15088332351297],
    ['caf\u00e9', 'newSearch', 43.24563110712916],
    ['\ud83d\udc4b', 'search', 57.15795399155468],
    ['\ud83d', 'search', 63.7752098031342],
  ])('%j for the salt %j is %d of 100, to the last digit', (id, salt, place) => {
    expect(placeOf(bucketOf(murmur3(id), murmur3(salt)))).toBe(place)
  })

  it.each(golden)('%j decides, and is told, wherever the flag is asked', (id, ...buckets) => {
    for (const [i, salt] of salts.entries()) {
      const place = ((buckets[i] as number) / 2 ** 32) * 100
      // The nearest thresholds that there are: one step of 2 ** 32 above, and none above.
      const above = (((buckets[i] as number) + 1) / 2 ** 32) * 100
      const flags = new FeatureFlags({
        flags: { in: { percentage: above, salt }, out: { percentage: place, salt } },
        environment: {},
      })
      const scope = flags.for({ guildId: id })
      expect([scope.isEnabled('in'), scope.isEnabled('out')]).toEqual([true, false])
      expect([flags.isEnabled('in', { guildId: id }), flags.isEnabled('out', { guildId: id })]).toEqual([true, false])
      expect(flags.explain('in', { guildId: id }).place).toBe(place)
    }
  })

  it('is the same for a number, a BigInt and their digits', () => {
    const flags = new FeatureFlags({ flags: { search: { percentage: 50 } }, environment: {} })
    const placeFor = (guildId: string | number | bigint): number | undefined =>
      flags.explain('search', { guildId }).place
    expect(placeFor(81384788765712384n)).toBe(85.15088332351297)
    expect([placeFor(1), placeFor(1n)]).toEqual([placeFor('1'), placeFor('1')])
  })
})
