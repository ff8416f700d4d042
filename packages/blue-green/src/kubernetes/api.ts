import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { messageOf, runBounded } from '../bounded.js'
import { defined, readDuration, requireKnown, requireMethods } from '../checked-options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { checkToken, readNamespace, readServiceAccount, serviceAccountPath, type Credentials } from './credentials.js'
import { KubernetesRefusedError, KubernetesUnavailableError } from './errors.js'
import { labelOf, readName, readObject, recordOf, type KubernetesObject, type KubernetesResource } from './resources.js'

/** What {@link kubernetesApi} takes. In a pod, nothing is needed. */
export interface KubernetesApiOptions {
  /**
   * Where the API is, `https:`; that of the pod's cluster unless given. It may end with a path, as `https://host/k8s/clusters/c-1`.
   * `http:` only on this machine, as `kubectl proxy` has it.
   */
  readonly url?: string | undefined
  /** Whose objects; the pod's own namespace unless given. */
  readonly namespace?: string | undefined
  /**
   * Who asks: a token, or a function that gives the one of now, within `timeoutMs`. Read from the service account's folder unless given.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined
  /** Whom to trust, as PEM. Read from the service account's folder unless this or a `token` is given; with a `token` alone, whom Node.js trusts. */
  readonly ca?: string | undefined
  /** The folder with `token`, `ca.crt` and `namespace`, which the cluster puts into each pod. */
  readonly serviceAccountPath?: string | undefined
  /** How long one answer may take, from the token to its end, in ms. */
  readonly timeoutMs?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The options of {@link kubernetesApi} that have a default. */
export type KubernetesApiDefaults = Readonly<Record<'timeoutMs', number> & Record<'serviceAccountPath', string>>

/** The value of each option of `kubernetesApi` that is not given. */
export const kubernetesApiDefaults: KubernetesApiDefaults = { timeoutMs: 10_000, serviceAccountPath }

/** How to wait for an answer. */
export interface KubernetesCallOptions {
  /** Ends the call early, with its reason as rejection. */
  readonly signal?: AbortSignal | undefined
}

/** The few verbs of the cluster's API that are used here. Made by {@link kubernetesApi}; anything of this shape fits. */
export interface KubernetesApi {
  /** Reads an object. */
  get(resource: KubernetesResource, options?: KubernetesCallOptions): Promise<KubernetesObject>
  /** Changes an object (JSON merge patch, RFC 7386). With `metadata.resourceVersion` in it, only if that is still the one. */
  patch(resource: KubernetesResource, patch: object, options?: KubernetesCallOptions): Promise<KubernetesObject>
  /** Each change of an object after a resource version, until the API ends it, which it does now and then. */
  watch(
    resource: KubernetesResource,
    resourceVersion: string,
    options?: KubernetesCallOptions,
  ): AsyncIterable<KubernetesObject>
}

/** More than any object has: the store of a cluster takes 1.5 MiB. */
const maxBytes = 4_194_304
/** How long a watch is asked for, in s. */
const watchSeconds = 30
/** Words of a server that are longer are cut off there. */
const maxWords = 1_000
/** The connection was never made, so nothing was sent. */
const unsentCodes: readonly unknown[] = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN']

/**
 * The API of a cluster, by plain HTTPS and the pod's own service account.
 *
 * @remarks
 * Each call is one request with a deadline, which is not repeated here: whoever calls knows whether it may be. Only a 401 is asked
 * once more, if the token's file has another token by then.
 *
 * *Gotchas*: neither token nor what it opens is in any error. No proxy of the environment is used, `NODE_TLS_REJECT_UNAUTHORIZED` changes
 * nothing, and a redirect is not followed.
 *
 * @param options - nothing in a pod; outside, where the API is
 * @returns the API; nothing is sent before it is used
 * @throws TypeError or RangeError that names the option, and what would do
 *
 * @example
 * ```ts
 * import { kubernetesApi } from '@evenkeel/blue-green/kubernetes'
 *
 * const api = kubernetesApi({ url: 'http://127.0.0.1:8001', namespace: 'bots' }) // kubectl proxy; in a pod: kubernetesApi()
 * ```
 */
export function kubernetesApi(options: KubernetesApiOptions = {}): KubernetesApi {
  return new HttpApi(options)
}

/** One request. */
interface Call {
  /** As in messages. */
  readonly what: string
  readonly method: 'GET' | 'PATCH'
  readonly resource: KubernetesResource
  /** What follows the path of all such objects. */
  readonly end: string
  readonly body?: string
}

class HttpApi implements KubernetesApi {
  readonly #url: URL
  readonly #namespace: string | undefined
  readonly #folder: string
  readonly #token: KubernetesApiOptions['token']
  readonly #ca: string | undefined
  readonly #timeoutMs: number
  readonly #clock: Clock

  constructor(options: KubernetesApiOptions) {
    const known = ['url', 'namespace', 'token', 'ca', 'clock', ...Object.keys(kubernetesApiDefaults)]
    requireKnown('kubernetesApi', options, known)
    const given = { ...kubernetesApiDefaults, ...defined(options) }
    this.#url = readUrl(options.url ?? urlOfPod())
    if (options.namespace !== undefined) readName('namespace', options.namespace)
    this.#namespace = options.namespace
    if (typeof options.token === 'string') checkToken(options.token)
    else if (options.token !== undefined) requireMethods('token', options, ['token'])
    this.#token = options.token
    this.#ca = options.ca
    this.#folder = given.serviceAccountPath
    this.#timeoutMs = readDuration('timeoutMs', given.timeoutMs)
    if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
    this.#clock = options.clock ?? systemClock
  }

  get(resource: KubernetesResource, options?: KubernetesCallOptions): Promise<KubernetesObject> {
    const call: Call = { what: `GET ${labelOf(resource)}`, method: 'GET', resource, end: `/${resource.name}` }
    return this.#object(call, options?.signal)
  }

  patch(resource: KubernetesResource, patch: object, options?: KubernetesCallOptions): Promise<KubernetesObject> {
    const what = `PATCH ${labelOf(resource)}`
    const end = `/${resource.name}?fieldManager=evenkeel`
    return this.#object({ what, method: 'PATCH', resource, end, body: JSON.stringify(patch) }, options?.signal)
  }

  async *watch(
    resource: KubernetesResource,
    resourceVersion: string,
    options?: KubernetesCallOptions,
  ): AsyncGenerator<KubernetesObject> {
    const what = `WATCH ${labelOf(resource)}`
    const query = new URLSearchParams({
      watch: 'true',
      fieldSelector: `metadata.name=${resource.name}`,
      resourceVersion,
      timeoutSeconds: String(watchSeconds),
    })
    // The API ends it; one that is silent for longer is dead.
    const stop = new AbortController()
    const cancel = this.#clock.after(watchSeconds * 1_000 + this.#timeoutMs, () => stop.abort())
    const signal = AbortSignal.any([stop.signal, ...(options?.signal === undefined ? [] : [options.signal])])
    try {
      const response = await this.#open({ what, method: 'GET', resource, end: `?${query.toString()}` }, signal)
      // Too old a version. Whoever watches reads it again.
      if (response.statusCode === 410) return
      if (response.statusCode !== 200) throw this.#refusal(what, response, await readText(response))
      for await (const line of linesOf(response)) {
        // What cannot be read is not shown: nobody knows what is in it.
        const { type, object } = recordOf(tryJson(line))
        if (type === undefined) throw new TypeError('a line is no event of Kubernetes')
        // Too old a version, say, or the object is gone. Whoever watches reads it again.
        if (type === 'ERROR' || type === 'DELETED') return
        const read = type === 'ADDED' || type === 'MODIFIED' ? readObject(object) : undefined
        if (read !== undefined) yield read
      }
    } catch (error) {
      if (options?.signal?.aborted === true) throw reasonOf(options.signal)
      throw asFailure(what, error, 'no')
    } finally {
      cancel()
      stop.abort()
    }
  }

  async #object(call: Call, outer: AbortSignal | undefined): Promise<KubernetesObject> {
    const object = readObject(tryJson(await this.#send(call, outer)))
    if (object !== undefined) return object
    const applied = call.method === 'PATCH' ? 'unknown' : 'no'
    throw new KubernetesUnavailableError(call.what, 'the answer is no object of Kubernetes', { applied })
  }

  /** One request with its answer, within the deadline. */
  async #send(call: Call, outer: AbortSignal | undefined): Promise<string> {
    const late = new AbortController()
    const tooLate = new Error(`it took longer than ${this.#timeoutMs} ms`)
    const cancel = this.#clock.after(this.#timeoutMs, () => late.abort(tooLate))
    const signal = AbortSignal.any([late.signal, ...(outer === undefined ? [] : [outer])])
    try {
      const response = await this.#open(call, signal)
      const text = await readText(response)
      if (response.statusCode === 200) return text
      throw this.#refusal(call.what, response, text)
    } catch (error) {
      if (outer?.aborted === true) throw reasonOf(outer)
      const applied = call.method === 'PATCH' ? 'unknown' : 'no'
      const isLate = late.signal.aborted && !isOfTheApi(error)
      throw asFailure(call.what, isLate ? tooLate : error, applied)
    } finally {
      cancel()
    }
  }

  /** Sends it, and once more when the token was replaced meanwhile. */
  async #open(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    signal.throwIfAborted()
    const unknownWhere = 'it is not known in which namespace'
    const namespace = await this.#read(call, unknownWhere, signal, async () => {
      return this.#namespace ?? readName('namespace', await readNamespace(this.#folder))
    })
    const credentials = await this.#credentials(call, signal)
    const response = await this.#ask(call, namespace, credentials, signal)
    if (response.statusCode !== 401) return response
    const renewed = await this.#credentials(call, signal)
    if (renewed.token === credentials.token) return response
    response.destroy()
    return this.#ask(call, namespace, renewed, signal)
  }

  #credentials(call: Call, signal: AbortSignal): Promise<Credentials> {
    return this.#read(call, 'the credentials cannot be read', signal, async () => {
      // Nobody is to read it on the way.
      if (this.#url.protocol === 'http:') return { token: undefined, ca: undefined }
      if (this.#token === undefined) {
        const { token, ca } = await readServiceAccount(this.#folder)
        return { token, ca: this.#ca ?? ca }
      }
      return { token: checkToken(typeof this.#token === 'string' ? this.#token : await this.#token()), ca: this.#ca }
    })
  }

  /** What a function or a disk gives, which may hang. Without it, nothing is sent. */
  async #read<T>({ what }: Call, why: string, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    try {
      return await runBounded(run, this.#timeoutMs, this.#clock, signal)
    } catch (error) {
      throw new KubernetesUnavailableError(what, `${why}: ${messageOf(error)}`, { applied: 'no' })
    }
  }

  #ask(
    { method, resource: { base, plural }, end, body }: Call,
    namespace: string,
    { token, ca }: Credentials,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const send = this.#url.protocol === 'http:' ? requestHttp : requestHttps
    const root = this.#url.href.replace(/\/+$/, '')
    return new Promise((resolve, reject) => {
      const request = send(`${root}${base}/namespaces/${namespace}/${plural}${end}`, {
        method,
        signal,
        // A kept connection may be closed just when it is used, and then nobody would know whether it was written.
        agent: false,
        // Whatever NODE_TLS_REJECT_UNAUTHORIZED says: the token is for this API only.
        rejectUnauthorized: true,
        headers: {
          accept: 'application/json',
          'user-agent': 'evenkeel',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && {
            'content-type': 'application/merge-patch+json',
            'content-length': Buffer.byteLength(body),
          }),
        },
        ...(ca !== undefined && { ca }),
      })
      request.once('response', resolve)
      request.on('error', reject)
      request.end(body)
    })
  }

  #refusal(what: string, { statusCode = 0, headers }: IncomingMessage, text: string): Error {
    const { reason, message } = recordOf(tryJson(text))
    const isRedirect = statusCode >= 300 && statusCode < 400
    const silent = isRedirect
      ? 'it redirects, and the token is for nobody else. Is url that of the API?'
      : 'without a word'
    const why = typeof message === 'string' ? message.slice(0, maxWords) : silent
    // Asked to wait, it has done nothing. A server that fails may have, and one behind a proxy that gave up (408).
    if (statusCode === 408 || statusCode === 429 || statusCode >= 500) {
      return new KubernetesUnavailableError(what, `it answered ${statusCode}, ${why}`, {
        applied: statusCode === 429 || !what.startsWith('PATCH') ? 'no' : 'unknown',
        status: statusCode,
        retryAfterMs: readRetryAfter(headers['retry-after']),
      })
    }
    const name = typeof reason === 'string' ? reason.slice(0, maxWords) : 'Unknown'
    return new KubernetesRefusedError(what, statusCode, name, why)
  }
}

function urlOfPod(): string {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env
  if (host !== undefined) return `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  throw new TypeError(
    'This is no pod, for KUBERNETES_SERVICE_HOST is not set. Give the url of the API, such as http://127.0.0.1:8001 of kubectl proxy',
  )
}

function readUrl(given: string): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw new TypeError('url of kubernetesApi must begin with https://, and hold no password')
  }
  // Paths are joined to it. And what is not shown here may be a secret.
  if (url.search !== '' || url.hash !== '') {
    throw new TypeError('url of kubernetesApi must have nothing behind its path')
  }
  if (url.protocol === 'http:' && !['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)) {
    throw new TypeError('url of kubernetesApi must begin with https://: http:// is for kubectl proxy on this machine')
  }
  return url
}

/** In seconds, as the API gives it. */
function readRetryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : undefined
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new RangeError(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Whole lines only: what comes after the last break was cut off. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  response.setEncoding('utf8')
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxBytes) throw new RangeError(`a line is longer than ${maxBytes} characters`)
    yield* lines.filter((line) => line !== '')
  }
}

function isOfTheApi(error: unknown): error is KubernetesUnavailableError | KubernetesRefusedError {
  return error instanceof KubernetesUnavailableError || error instanceof KubernetesRefusedError
}

function asFailure(what: string, error: unknown, applied: 'no' | 'unknown'): Error {
  if (isOfTheApi(error)) return error
  const isUnsent = unsentCodes.includes(recordOf(error)['code'])
  return new KubernetesUnavailableError(what, messageOf(error), { applied: isUnsent ? 'no' : applied, cause: error })
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('it was cancelled')
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
