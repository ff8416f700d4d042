import type { AlertMessage, AlertNotice } from './alert.js'

/** So many alerts a digest names; of the rest it says how many they are. */
const DIGEST_LINES = 20

/** One alert in a digest. */
export interface DigestLine {
  /** The latest that is to be told of it. */
  readonly notice: AlertNotice
  /** How often it happened, over all its notices. */
  readonly times: number
}

/** A message in short. */
export interface Digest {
  readonly lines: readonly DigestLine[]
  /** How many alerts are not among the lines. */
  readonly moreAlerts: number
  /** The notices that are among the lines. */
  readonly shown: readonly string[]
  /** The notices that are only counted. */
  readonly counted: readonly string[]
}

/** Puts what is told of the same alert into one line; the most urgent come first. */
export function digestOf({ notices }: AlertMessage): Digest {
  const groups = new Map<string, AlertNotice[]>()
  for (const notice of notices) {
    const group = groups.get(notice.fingerprint)
    if (group === undefined) groups.set(notice.fingerprint, [notice])
    else group.push(notice)
  }
  const rank = { CRITICAL: 0, WARNING: 1, INFO: 2 } as const
  const urgency = (group: readonly AlertNotice[]): number => Math.min(...group.map(({ severity }) => rank[severity]))
  const sorted = [...groups.values()].sort((one, other) => urgency(one) - urgency(other))
  const named = sorted.slice(0, DIGEST_LINES)
  const rest = sorted.slice(DIGEST_LINES)
  return {
    lines: named.flatMap((group) => {
      const notice = group.at(-1)
      return notice === undefined ? [] : [{ notice, times: group.reduce((sum, { count }) => sum + count, 0) }]
    }),
    moreAlerts: rest.length,
    shown: named.flat().map(({ id }) => id),
    counted: rest.flat().map(({ id }) => id),
  }
}
