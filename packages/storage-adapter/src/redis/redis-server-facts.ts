import { UnavailableError } from '../errors.js'

/** What a server says of itself, as far as it lets us ask. */
export interface ServerFacts {
  /** Such as `7.0.15`. */
  readonly version: string | undefined
  /** `master` or `slave`. */
  readonly role: string | undefined
  readonly isLoading: boolean
  /** What it does when its memory is full. */
  readonly evictionPolicy: string | undefined
  /** Whether it writes an append-only file. */
  readonly hasAppendOnlyFile: boolean | undefined
  /** `always`, `everysec` or `no`. */
  readonly appendFsync: string | undefined
}

/** The oldest version with all commands that are used. */
const OLDEST = [6, 2] as const

/** Reads the replies to INFO and to CONFIG GET appendfsync; `undefined` for what was forbidden. */
export function readFacts(info: string | undefined, appendFsync: unknown): ServerFacts {
  const fields = new Map<string, string>()
  for (const line of (info ?? '').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  const appendOnly = fields.get('aof_enabled')
  return {
    version: fields.get('redis_version'),
    role: fields.get('role'),
    isLoading: fields.get('loading') === '1',
    evictionPolicy: fields.get('maxmemory_policy'),
    hasAppendOnlyFile: appendOnly === undefined ? undefined : appendOnly === '1',
    appendFsync: Array.isArray(appendFsync) && typeof appendFsync[1] === 'string' ? appendFsync[1] : undefined,
  }
}

/**
 * Refuses a server that would lose records, or cannot keep any.
 *
 * An `allkeys-` policy is refused also while no memory limit is set: one setting later it would drop records without a
 * word. A `volatile-` policy drops only keys with a TTL of Redis' own, and ours have none.
 *
 * @throws UnavailableError that names the remedy
 */
export function checkFacts(label: string, { version, role, isLoading, evictionPolicy }: ServerFacts): void {
  if (version !== undefined && isOlder(version)) {
    throw new UnavailableError(`${label} is version ${version}; use Redis ${OLDEST.join('.')} or later`)
  }
  if (isLoading) throw new UnavailableError(`${label} is still loading its data; wait until it has`)
  if (role === 'slave') {
    throw new UnavailableError(`${label} is a replica, which takes no writes; connect to its primary`)
  }
  if (evictionPolicy?.startsWith('allkeys-') === true) {
    throw new UnavailableError(
      `${label} has maxmemory-policy ${evictionPolicy}, which drops records when memory is short; ` +
        'set maxmemory-policy noeviction, or use a Redis that is no cache',
    )
  }
}

/** What is certain of a write that was acknowledged, as a sentence. */
export function durabilityOf({ hasAppendOnlyFile, appendFsync }: ServerFacts): string {
  if (hasAppendOnlyFile === false) {
    return 'An acknowledged write is in its memory: a crash loses what came after its last snapshot (appendonly no).'
  }
  switch (hasAppendOnlyFile === true ? appendFsync : undefined) {
    case 'always':
      return 'An acknowledged write is on its disk (appendfsync always).'
    case 'everysec':
      return 'An acknowledged write is on its disk within about a second (appendfsync everysec).'
    case 'no':
      return 'An acknowledged write is on its disk when its system sees fit (appendfsync no).'
    case undefined:
    default:
      return 'How safe an acknowledged write is there is not known, as INFO or CONFIG is forbidden.'
  }
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}
