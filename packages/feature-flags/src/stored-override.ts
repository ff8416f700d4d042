import { isRecord } from './setting-problem.js'

/** An override as it is kept in a store, where variants go by their names. */
export interface StoredOverride {
  readonly value: boolean | string
  readonly why: string
  readonly by: string | undefined
  readonly at: number
  /** Another one for each time that an override is set. */
  readonly id: string
  /** Those that switched off and were there before, the last ones first: whoever has set this one could know of them. */
  readonly seen?: readonly string[] | undefined
}

/** An override, and until when it holds. */
export interface OverrideUntil {
  readonly override: StoredOverride
  /** Epoch ms; `undefined` for ever. */
  readonly expiresAt: number | undefined
}

/** Whose override, of which flag. */
export interface OverridePlace {
  readonly flag: string
  readonly whose: 'users' | 'guilds'
  readonly id: string
}

/** What the keys of all overrides begin with. */
export const overridePrefix = 'flags/override/'

/** No store takes longer ones. */
const maxKeyLength = 2_000

/** Where an override is kept. @throws RangeError when the flag or the id is too long, or no well-formed text */
export function overrideKey({ flag, whose, id }: OverridePlace): string {
  const key = `${overridePrefix}${encoded('flag', flag)}/${whose}/${encoded(whose === 'users' ? 'userId' : 'guildId', id)}`
  if (key.length <= maxKeyLength) return key
  throw new RangeError(
    `An override of flag ${JSON.stringify(flag.slice(0, 100))} for an id of ${id.length} characters cannot be kept; shorten them`,
  )
}

function encoded(what: string, text: string): string {
  try {
    return encodeURIComponent(text)
  } catch {
    throw new RangeError(`${what} ${JSON.stringify(text)} is no well-formed text: it has half of a surrogate pair`)
  }
}

/** Whose override is kept there; `undefined` when it was not written by us. */
export function placeOfKey(key: string): OverridePlace | undefined {
  const parts = key.startsWith(overridePrefix) ? key.slice(overridePrefix.length).split('/') : []
  const [flag = '', whose = '', id = ''] = parts
  if (parts.length !== 3 || (whose !== 'users' && whose !== 'guilds')) return undefined
  try {
    return { flag: decodeURIComponent(flag), whose, id: decodeURIComponent(id) }
  } catch {
    return undefined
  }
}

/** So many that were there before are remembered. */
const maxSeen = 10

/** An override that takes the place of another one, as it is kept. */
export function inPlaceOf(there: StoredOverride | undefined, override: StoredOverride): StoredOverride {
  const seen = [...(there?.value === false ? [there.id] : []), ...(there?.seen ?? []), ...(override.seen ?? [])]
  const others = [...new Set(seen)].filter((id) => id !== override.id).slice(0, maxSeen)
  return others.length === 0 ? override : { ...override, seen: others }
}

/** @returns `undefined` when there is none, or none that was written by us */
export function readOverride(
  stored: { readonly value: unknown; readonly expiresAt?: number | undefined } | undefined,
): OverrideUntil | undefined {
  if (!isRecord(stored?.value)) return undefined
  const { value, why, by, at, id, seen } = stored.value
  if ((typeof value !== 'boolean' && typeof value !== 'string') || typeof why !== 'string') return undefined
  const who = typeof by === 'string' ? by : undefined
  const override = { value, why, by: who, at: typeof at === 'number' ? at : 0, id: typeof id === 'string' ? id : '' }
  const others = Array.isArray(seen) ? seen.filter((each) => typeof each === 'string') : []
  return {
    override: others.length === 0 ? override : { ...override, seen: others },
    expiresAt: stored?.expiresAt,
  }
}
