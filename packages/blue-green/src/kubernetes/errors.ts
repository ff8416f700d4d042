/** The cluster's API did not answer, not in time, not to the end, or has too much to do. */
export class KubernetesUnavailableError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'KubernetesUnavailableError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'KUBERNETES_UNAVAILABLE'
  /** The same call can succeed later. */
  readonly retryable = true
  /** `'unknown'` when a write was under way, `'no'` when it certainly was not made, or nothing was to be written. */
  readonly applied: 'no' | 'unknown'
  /** What it answered, if anything: 408, 429, or 500 and more. */
  readonly status: number | undefined
  /** The earliest that it wants to be asked again, in ms, if it said so. It may be days: whoever waits has a limit of their own. */
  readonly retryAfterMs: number | undefined

  /** @internal */
  constructor(
    what: string,
    why: string,
    facts: {
      readonly applied: 'no' | 'unknown'
      readonly status?: number | undefined
      readonly retryAfterMs?: number | undefined
      readonly cause?: unknown
    },
  ) {
    super(
      `${what} had no answer of use from the Kubernetes API: ${why}`,
      facts.cause === undefined ? undefined : { cause: facts.cause },
    )
    this.applied = facts.applied
    this.status = facts.status
    this.retryAfterMs = facts.retryAfterMs
  }
}

/** The cluster's API refused: the token, the permission, the name, or what was written. */
export class KubernetesRefusedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'KubernetesRefusedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'KUBERNETES_REFUSED'
  /** True where it may pass by itself: a token that is about to be renewed (401), a conflict (409). */
  readonly retryable: boolean
  /** Nothing was written. */
  readonly applied = 'no'
  /** The status of HTTP: 401, 403, 404, 409, 422; that of a redirect, which is not followed. */
  readonly status: number
  /** What the API calls it: `Forbidden`, `NotFound`, `Invalid`. */
  readonly reason: string

  /** @internal */
  constructor(what: string, status: number, reason: string, message: string) {
    super(`${what} was refused by the Kubernetes API (${status} ${reason}): ${message}${remedies[status] ?? ''}`)
    this.status = status
    this.reason = reason
    this.retryable = status === 401 || status === 409
  }
}

const remedies: Readonly<Record<number, string>> = {
  401: '. The token is not valid: does the pod have a service account whose token is mounted?',
  403: '. Bind the role of the guide to the service account of this pod.',
}

/** An object in the cluster is not what it has to be. */
export class KubernetesObjectError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'KubernetesObjectError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'KUBERNETES_OBJECT'
  /** The same call fails until somebody changes the object. */
  readonly retryable = false
  /** Nothing was written. */
  readonly applied = 'no'
  /** Which object, as `httproutes/bot`. */
  readonly object: string

  /** @internal */
  constructor(object: string, why: string) {
    super(`${object} ${why}`)
    this.object = object
  }
}
