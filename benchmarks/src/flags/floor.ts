import { forEachFlag, percentage, tiers } from './asked-flag.js'

/** What a flag needs at the least: the guilds with an answer of their own, the tiers, and the share of ids. */
interface BareFlag {
  readonly overrides: ReadonlyMap<string, boolean>
  readonly tiers: ReadonlySet<string>
  readonly saltHash: number
  /** Of hashes that are signed, and of those that are not. */
  readonly threshold: number
  readonly unsignedThreshold: number
}

/** A context of our own kind. */
export interface BareContext {
  readonly guildId: string
  readonly attributes: { readonly tier: string }
}

const share = (percentage / 100) * 2 ** 32

export const bareFlags: ReadonlyMap<string, BareFlag> = new Map(
  Object.entries(
    forEachFlag((name) => ({
      overrides: new Map<string, boolean>(),
      tiers: new Set(tiers),
      saltHash: murmur3(name),
      threshold: share - 2 ** 31,
      unsignedThreshold: share,
    })),
  ),
)

/** No checks, no counters, no reasons: the lookups and the hash alone. */
export function bareIsEnabled(name: string, context: BareContext): boolean {
  const flag = bareFlags.get(name)
  if (flag === undefined) return false
  const override = flag.overrides.get(context.guildId)
  if (override !== undefined) return override
  if (!flag.tiers.has(context.attributes.tier)) return false
  return (mix(murmur3(context.guildId) ^ flag.saltHash) ^ -0x80000000) < flag.threshold
}

/** The same with hashes as murmur3 is usually written: numbers above 2^31 do not fit in a pointer, and are boxed. */
export function bareIsEnabledUnsigned(name: string, context: BareContext): boolean {
  const flag = bareFlags.get(name)
  if (flag === undefined) return false
  const override = flag.overrides.get(context.guildId)
  if (override !== undefined) return override
  if (!flag.tiers.has(context.attributes.tier)) return false
  return unsigned(mix(murmur3(context.guildId) ^ flag.saltHash)) < flag.unsignedThreshold
}

/** A guild whose id was hashed once. */
export class BareScope {
  readonly #context: BareContext
  readonly #idHash: number

  constructor(context: BareContext) {
    this.#context = context
    this.#idHash = murmur3(context.guildId)
  }

  isEnabled(name: string): boolean {
    const flag = bareFlags.get(name)
    return flag !== undefined && this.isOn(flag)
  }

  isOn(flag: BareFlag): boolean {
    const override = flag.overrides.get(this.#context.guildId)
    if (override !== undefined) return override
    if (!flag.tiers.has(this.#context.attributes.tier)) return false
    return (mix(this.#idHash ^ flag.saltHash) ^ -0x80000000) < flag.threshold
  }
}

/** MurmurHash3 over ASCII, without its fuss about other text. */
function murmur3(text: string): number {
  let h = 0
  let i = 0
  for (; i + 4 <= text.length; i += 4) {
    const k =
      text.charCodeAt(i) |
      (text.charCodeAt(i + 1) << 8) |
      (text.charCodeAt(i + 2) << 16) |
      (text.charCodeAt(i + 3) << 24)
    h ^= scramble(k)
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let j = text.length - 1; j >= i; j--) tail = (tail << 8) | text.charCodeAt(j)
  return mix(h ^ scramble(tail) ^ text.length)
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}

function mix(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function unsigned(hash: number): number {
  return hash >>> 0
}
