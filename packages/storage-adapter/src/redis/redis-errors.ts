import { CorruptError, StorageError, UnavailableError, type Applied } from '../errors.js'

/**
 * Replies by which Redis refuses a command, or the first write of a script, before anything was done, and what helps.
 */
const REFUSALS: Readonly<Record<string, string>> = {
  OOM: 'its memory is full; raise maxmemory, or remove what is not needed',
  READONLY: 'it is a replica, which takes no writes; connect to its primary',
  MISCONF: 'it cannot write its snapshot and so takes no writes; look at its log and its disk',
  LOADING: 'it is still loading its data; wait until it has',
  NOAUTH: 'it wants a password; give one in the URL or as password',
  WRONGPASS: 'it does not accept the user or the password; check both',
  NOREPLICAS: 'it has too few replicas to take writes (min-replicas-to-write)',
  MASTERDOWN: 'it is a replica that has lost its primary; connect to the primary',
  BUSY: 'a script of another program keeps it busy; end that with SCRIPT KILL',
  CLUSTERDOWN: 'the cluster is down; look at CLUSTER INFO',
  MOVED: 'it is part of a cluster; hand in a Cluster of ioredis as client',
  CROSSSLOT: 'it is a cluster and the prefix has no hash tag; put a part of the prefix in braces',
}

/** What a script finds before its first change. Redis 6 puts it at the end of a longer message. */
const WRONG_TYPE = /(^|: -?)WRONGTYPE /

/** What ioredis says when it did not even try to send. */
const NOT_SENT = /Stream isn't writeable|Cluster isn't ready/

/** What ioredis says of itself, and what it means for whoever uses a storage. */
const PLAIN: readonly (readonly [said: RegExp, meant: string])[] = [
  [/^(Connection is closed|Stream isn't writeable)/, 'the connection was lost'],
  [/^(Cluster isn't ready|Cluster is ended|None of startup nodes|Failed to refresh slots)/, 'no server of it answers'],
]

/** What is known of a command that failed. */
export interface FailedCommand {
  /** The server, without a secret. */
  readonly label: string
  /** What must not be told. */
  readonly secret: string | undefined
  /** Whether it may have taken effect although no answer came. */
  readonly onLoss: Applied
  /** Why the connection was lost, if it was and that is known. */
  readonly reason: unknown
}

/** An error of ioredis or of Redis as one of ours. */
export function translateRedisError(error: unknown, { label, secret, onLoss, reason }: FailedCommand): StorageError {
  if (error instanceof StorageError) return error
  const cause = bare(isReply(error) ? error : (reason ?? error), secret)
  const remedy = REFUSALS[refusalIn(cause.message)]
  if (remedy !== undefined)
    return new UnavailableError(`${label} refuses: ${remedy} (${cause.message})`, 'no', { cause })
  if (isReply(error) && WRONG_TYPE.test(cause.message)) {
    const remedy = 'another program may use the same prefix: move its keys away, or give this one a prefix of its own'
    return new CorruptError(label, 'holds something of another kind under a key of this storage', 'no', {
      cause,
      remedy,
    })
  }
  if (isReply(error)) return new UnavailableError(`${label} rejected a command: ${cause.message}`, onLoss, { cause })
  const applied = NOT_SENT.test(messageOf(error)) ? 'no' : onLoss
  const [, why = cause.message] = PLAIN.find(([said]) => said.test(cause.message)) ?? []
  return new UnavailableError(`${label} is out of reach: ${why}`, applied, { cause })
}

/** Redis does not know a script by its name yet, or any longer. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** Redis forbids this user a command. */
export function isForbidden(error: unknown): boolean {
  return error instanceof Error && /^NOPERM|unknown command/i.test(error.message)
}

/** Redis 6 puts what a command inside a script replied at the end of a longer message. */
function refusalIn(message: string): string {
  return /: -([A-Z]+) /.exec(message)?.[1] ?? message.split(' ', 1)[0] ?? ''
}

function isReply(error: unknown): boolean {
  return (error as { name?: unknown } | undefined)?.name === 'ReplyError'
}

/** Of several addresses that failed, Node's error has no message of its own. */
function messageOf(error: unknown): string {
  const { errors, code } = (error ?? {}) as { errors?: unknown; code?: unknown }
  const first: unknown = Array.isArray(errors) ? errors[0] : error
  const text = first instanceof Error ? first.message : String(first)
  return text === '' ? String(code) : text
}

/** An error of ioredis carries the command with its parameters: a password, or what a user has written. */
function bare(error: unknown, secret: string | undefined): Error {
  const { code } = (error ?? {}) as { code?: unknown }
  const message = messageOf(error)
  const told = secret === undefined || secret === '' ? message : message.replaceAll(secret, '***')
  return Object.assign(new Error(told), typeof code === 'string' ? { code } : {})
}
