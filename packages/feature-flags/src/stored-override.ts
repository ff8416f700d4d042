import { isRecord } from './setting-problem.js'

/** An override as it is kept in a store, where variants go by their names. */
export interface StoredOverride {
  readonly value: boolean | string
  readonly why: string
  readonly by: string | undefined
  readonly at: number
  /** Another one for each time that an override is set. */
  readonly id: string
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

/** Where an override is kept. */
export function overrideKey({ flag, whose, id }: OverridePlace): string {
  return `${overridePrefix}${encodeURIComponent(flag)}/${whose}/${encodeURIComponent(id)}`
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

/** @returns `undefined` when there is none, or none that was written by us */
export function readOverride(
  stored: { readonly value: unknown; readonly expiresAt?: number | undefined } | undefined,
): OverrideUntil | undefined {
  if (!isRecord(stored?.value)) return undefined
  const { value, why, by, at, id } = stored.value
  if ((typeof value !== 'boolean' && typeof value !== 'string') || typeof why !== 'string') return undefined
  const who = typeof by === 'string' ? by : undefined
  const override = { value, why, by: who, at: typeof at === 'number' ? at : 0, id: typeof id === 'string' ? id : '' }
  return { override, expiresAt: stored?.expiresAt }
}
