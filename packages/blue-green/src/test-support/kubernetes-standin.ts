import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kubernetesApi, type KubernetesApi, type KubernetesApiOptions } from '../kubernetes.js'
import { selfSigned } from './self-signed.js'

type Json = Record<string, unknown>

/** An object as it is stored. */
interface Stored extends Json {
  metadata: { resourceVersion: string; generation: number; annotations?: Record<string, string>; name: string }
  spec: Json
  status: Json
}

/** What was asked: `PATCH services/bot`. */
interface Asked {
  readonly what: string
  readonly body: Json | undefined
}

/** Does with a request as it likes; `serve` does as usual. */
export type Fault = (request: IncomingMessage, response: ServerResponse, serve: () => void) => void

interface Watcher {
  readonly plural: string
  readonly name: string
  readonly response: ServerResponse
}

const groups: Readonly<Record<string, string>> = {
  services: '/api/v1',
  deployments: '/apis/apps/v1',
  httproutes: '/apis/gateway.networking.k8s.io/v1',
}
const pathPattern = /^(.*)\/namespaces\/([^/]+)\/(\w+)(?:\/([^/]+))?$/

/**
 * The API of a cluster as its documentation has it, for three kinds of objects: GET, PATCH (merge patch with resource version), and watch;
 * bearer tokens, permissions, and a Deployment controller that makes pods ready. Each request may be made to fail.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
export class KubernetesStandin {
  /** Everything that was asked, watches too. */
  readonly asked: Asked[] = []
  /** Whether pods become ready by themselves. */
  makesPodsReady = true
  /** What is allowed: `PATCH services`. */
  may: (verb: string) => boolean = () => true
  /** Watches from before this version are refused as too old. */
  oldestVersion = 0
  /** Under which path the API is, as behind a proxy for many clusters. */
  prefix = ''
  readonly #folder = mkdtempSync(join(tmpdir(), 'evenkeel-cluster-'))
  readonly #objects = new Map<string, Stored>()
  readonly #faults: { readonly what: RegExp; readonly fault: Fault; times: number }[] = []
  readonly #watchers = new Set<Watcher>()
  readonly #waits = new Set<() => void>()
  readonly #tls = selfSigned()
  #token = 'token-of-the-service-account-0'
  #version = 100
  #rotations = 0
  #port = 0
  #server: Server | undefined

  async start(): Promise<this> {
    writeFileSync(join(this.#folder, 'ca.crt'), this.#tls.cert)
    writeFileSync(join(this.#folder, 'namespace'), 'bots')
    writeFileSync(join(this.#folder, 'token'), this.#token)
    await this.up()
    return this
  }

  async stop(): Promise<void> {
    await this.down()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The server is gone: connections are broken, and refused. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }

  /** And is back, where it was. */
  async up(): Promise<void> {
    const server = createServer({ cert: this.#tls.cert, key: this.#tls.key }, (request, response) => {
      this.#receive(request, response)
    })
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  api(options: KubernetesApiOptions = {}): KubernetesApi {
    return kubernetesApi({ url: this.url, serviceAccountPath: this.#folder, timeoutMs: 5_000, ...options })
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`
  }

  get folder(): string {
    return this.#folder
  }

  get ca(): string {
    return this.#tls.cert
  }

  get token(): string {
    return this.#token
  }

  /** Gives the pod a new token; the old one is not valid any more. */
  rotateToken({ isMounted = true } = {}): void {
    this.#token = `token-of-the-service-account-${++this.#rotations}`
    if (isMounted) writeFileSync(join(this.#folder, 'token'), this.#token)
  }

  add(plural: string, name: string, spec: Json, status: Json = {}): void {
    const metadata = { name, resourceVersion: String(++this.#version), generation: 1 }
    this.#objects.set(`${plural}/${name}`, { metadata, spec, status })
  }

  /** A Deployment whose pods are all ready. */
  addDeployment(name: string, replicas: number): void {
    this.add('deployments', name, { replicas }, podsOf(1, replicas))
  }

  object(key: string): Stored {
    const object = this.#objects.get(key)
    if (object === undefined) throw new Error(`there is no ${key}`)
    return object
  }

  /** Writes as somebody else does. */
  edit(key: string, change: (object: Stored) => void): void {
    const before = this.object(key)
    const object = structuredClone(before)
    change(object)
    this.#store(key, object, before)
  }

  /** Deletes it as somebody else does. */
  remove(key: string): void {
    const object = this.object(key)
    this.#objects.delete(key)
    for (const watcher of this.#watchers) {
      if (`${watcher.plural}/${watcher.name}` === key) send(watcher.response, 'DELETED', object)
    }
  }

  /** Does so with the next requests of a kind, such as `/PATCH services/`. */
  fail(what: RegExp, fault: Fault, times = 1): void {
    this.#faults.push({ what, fault, times })
  }

  /** Nothing fails any more. */
  heal(): void {
    this.#faults.length = 0
  }

  cutWatches(): void {
    for (const { response } of this.#watchers) response.destroy()
  }

  count(what: string): number {
    return this.asked.filter((one) => one.what === what).length
  }

  /** Waits until something was asked so many times. */
  async until(what: string, times = 1): Promise<void> {
    while (this.count(what) < times) await new Promise<void>((resolve) => this.#waits.add(resolve))
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const url = new URL(request.url ?? '/', this.url)
      const path = url.pathname.startsWith(this.prefix) ? url.pathname.slice(this.prefix.length) : ''
      const [, base = '', namespace = '', plural = '', name] = pathPattern.exec(path) ?? []
      const isWatch = url.searchParams.get('watch') === 'true'
      const verb = isWatch ? 'WATCH' : (request.method ?? '')
      const watched = /^metadata\.name=(.+)$/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1]
      const key = `${plural}/${name ?? watched ?? ''}`
      const text = Buffer.concat(chunks).toString()
      const serve = (): void => {
        if (request.headers.authorization !== `Bearer ${this.#token}`)
          return fail(response, 401, 'Unauthorized', 'Unauthorized')
        if (!this.may(`${verb} ${plural}`)) {
          const who = 'User "system:serviceaccount:bots:bot"'
          const words = `${plural} "${name}" is forbidden: ${who} cannot ${verb.toLowerCase()} resource "${plural}"`
          return fail(response, 403, 'Forbidden', words)
        }
        if (groups[plural] !== base || namespace !== 'bots')
          return fail(response, 404, 'NotFound', 'the server could not find it')
        if (isWatch) return this.#watch(key, url.searchParams, response)
        const object = this.#objects.get(key)
        if (object === undefined) return fail(response, 404, 'NotFound', `${plural} "${name}" not found`)
        if (verb === 'GET') return answer(response, 200, object)
        if (verb === 'PATCH') return this.#patch(key, request, text, response)
        fail(response, 405, 'MethodNotAllowed', 'the server does not allow this method')
      }
      const fault = this.#faults.find((one) => one.times > 0 && one.what.test(`${verb} ${key}`))
      if (fault === undefined) serve()
      else {
        fault.times -= 1
        fault.fault(request, response, serve)
      }
      this.asked.push({ what: `${verb} ${key}`, body: text === '' ? undefined : (JSON.parse(text) as Json) })
      for (const wake of this.#waits) wake()
      this.#waits.clear()
    })
  }

  #patch(key: string, request: IncomingMessage, text: string, response: ServerResponse): void {
    if (request.headers['content-type'] !== 'application/merge-patch+json') {
      return fail(response, 415, 'UnsupportedMediaType', 'the body of the request was in an unknown format')
    }
    const before = this.object(key)
    const patch = JSON.parse(text) as { metadata?: { resourceVersion?: string } }
    const expected = patch.metadata?.resourceVersion
    if (expected !== undefined && expected !== before.metadata.resourceVersion) {
      const words = `Operation cannot be fulfilled on ${key}: the object has been modified; please apply your changes to the latest version and try again`
      return fail(response, 409, 'Conflict', words)
    }
    answer(response, 200, this.#store(key, merge(before, patch) as Stored, before))
  }

  /** A write that changes nothing is none; one that changes the spec is a new generation. */
  #store(key: string, object: Stored, before: Stored): Stored {
    if (JSON.stringify(object) === JSON.stringify(before)) return before
    const hasNewSpec = JSON.stringify(object.spec) !== JSON.stringify(before.spec)
    object.metadata.resourceVersion = String(++this.#version)
    object.metadata.generation = before.metadata.generation + (hasNewSpec ? 1 : 0)
    this.#objects.set(key, object)
    for (const watcher of this.#watchers) {
      if (`${watcher.plural}/${watcher.name}` === key) send(watcher.response, 'MODIFIED', object)
    }
    if (hasNewSpec && key.startsWith('deployments/') && this.makesPodsReady) setImmediate(() => this.#control(key))
    return object
  }

  /** The Deployment controller: sees the change, makes the pods, and finds them ready. */
  #control(key: string): void {
    const { metadata, spec } = this.object(key)
    const replicas = spec['replicas'] as number
    this.edit(
      key,
      (one) => (one.status = { ...podsOf(metadata.generation, replicas), readyReplicas: 0, availableReplicas: 0 }),
    )
    this.edit(key, (one) => (one.status = podsOf(metadata.generation, replicas)))
  }

  #watch(key: string, query: URLSearchParams, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    const from = Number(query.get('resourceVersion'))
    if (from < this.oldestVersion) {
      const status = {
        kind: 'Status',
        status: 'Failure',
        reason: 'Expired',
        code: 410,
        message: 'too old resource version',
      }
      send(response, 'ERROR', status)
      return void response.end()
    }
    const [plural = '', name = ''] = key.split('/')
    const watcher = { plural, name, response }
    this.#watchers.add(watcher)
    response.on('close', () => this.#watchers.delete(watcher))
    const object = this.#objects.get(key)
    if (object !== undefined && Number(object.metadata.resourceVersion) > from) send(response, 'MODIFIED', object)
    send(response, 'BOOKMARK', { kind: key, metadata: { resourceVersion: String(this.#version) } })
  }
}

/** The same API, that counts what is read through it as soon as it is asked for. */
export function countingReads(api: KubernetesApi): KubernetesApi & { readonly reads: number } {
  let reads = 0
  return {
    get: (...call) => {
      reads += 1
      return api.get(...call)
    },
    patch: (...call) => api.patch(...call),
    watch: (...call) => api.watch(...call),
    get reads() {
      return reads
    },
  }
}

/** Answers so, as the API does when it fails. */
export function answers(status: number, headers: Record<string, string> = {}): Fault {
  return (_request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    fail(response, status, 'InternalError', 'something is wrong')
  }
}

/** Answers so, with any text. */
export function says(status: number, text: string, headers: Record<string, string> = {}): Fault {
  return (_request, response) => void response.writeHead(status, headers).end(text)
}

/** Never answers. */
export const hangs: Fault = () => undefined

/** Breaks the connection instead of an answer. */
export const breaks: Fault = (_request, response) => void response.destroy()

/** Does it, and breaks the connection before it says so. */
export const doesAndBreaks: Fault = (_request, response, serve) => {
  response.end = ((): ServerResponse => response.destroy()) as typeof response.end
  serve()
}

/** Sends half of the answer, and no more. */
export const sendsHalf: Fault = (_request, response, serve) => {
  response.end = ((text: string): ServerResponse => {
    response.setHeader('content-length', text.length)
    response.write(text.slice(0, text.length / 2), () => response.destroy())
    return response
  }) as typeof response.end
  serve()
}

export function podsOf(observedGeneration: number, replicas: number): Json {
  const all = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas }
  // The API leaves zeros out.
  return { observedGeneration, ...Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0)) }
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result: Json = { ...(typeof target === 'object' && !Array.isArray(target) ? (target as Json) : {}) }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = merge(result[key], value)
  }
  return result
}

function send(response: ServerResponse, type: string, object: unknown): void {
  response.write(`${JSON.stringify({ type, object })}\n`)
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(body))
}

function fail(response: ServerResponse, code: number, reason: string, message: string): void {
  answer(response, code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code })
}
