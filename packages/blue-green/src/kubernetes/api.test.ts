import { FakeClock } from '@evenkeel/testing'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { kubernetesApi } from '../kubernetes.js'
import {
  answers,
  breaks,
  doesAndBreaks,
  hangs,
  KubernetesStandin,
  says,
  sendsHalf,
} from '../test-support/kubernetes-standin.js'
import { service } from './resources.js'

const bot = service('bot')

async function cluster(): Promise<KubernetesStandin> {
  const standin = await new KubernetesStandin().start()
  onTestFinished(() => standin.stop())
  standin.add('services', 'bot', { selector: { slot: 'blue' } })
  return standin
}

const failure = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    (value) => new Error(`it resolved ${inspect(value)}`),
    (error: unknown) => error as Error,
  )

describe('the API of a cluster', () => {
  it('is asked with the token and the certificates that the pod has', async () => {
    const object = await (await cluster()).api().get(bot)
    expect(object.spec).toEqual({ selector: { slot: 'blue' } })
  })

  it('is not trusted with certificates of somebody else', async () => {
    const [standin, other] = [await cluster(), await cluster()]
    const api = standin.api({ ca: other.ca })
    expect(await failure(api.get(bot))).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE', applied: 'no' })
    expect(standin.asked).toEqual([])
  })

  it('is asked again with the new token when the old one was replaced just then', async () => {
    const standin = await cluster()
    const api = standin.api()
    standin.fail(/GET/, (_request, _response, serve) => {
      standin.rotateToken()
      serve()
    })
    expect(await api.get(bot)).toMatchObject({ spec: { selector: { slot: 'blue' } } })
    expect(standin.count('GET services/bot')).toBe(2)
    standin.rotateToken()
    await api.get(bot)
    expect(standin.count('GET services/bot')).toBe(3)
  })

  it('refuses a token that is not valid, once, and it may be valid later', async () => {
    const standin = await cluster()
    standin.rotateToken({ isMounted: false })
    const error = await failure(standin.api().get(bot))
    expect(error).toMatchObject({ code: 'KUBERNETES_REFUSED', status: 401, retryable: true, applied: 'no' })
    expect(standin.asked.length).toBe(1)
  })

  it('takes a token from a function, each time anew', async () => {
    const standin = await cluster()
    const api = standin.api({
      token: () => standin.token,
      ca: standin.ca,
      serviceAccountPath: '/none',
      namespace: 'bots',
    })
    await api.get(bot)
    standin.rotateToken()
    await api.get(bot)
  })

  it.each([
    [403, 'Forbidden', 'Bind the role of the guide'],
    [404, 'NotFound', 'services "none" not found'],
  ])('tells what was refused: %i', async (status, reason, words) => {
    const standin = await cluster()
    if (status === 403) standin.may = (verb) => verb !== 'GET services'
    const error = await failure(standin.api().get(service('none')))
    expect(error).toMatchObject({ code: 'KUBERNETES_REFUSED', status, reason, retryable: false, applied: 'no' })
    expect(error.message).toContain(words)
    expect(error.message).toContain('GET services/none')
  })

  it('refuses a patch of what is not the newest any more', async () => {
    const standin = await cluster()
    const api = standin.api()
    const { metadata } = await api.get(bot)
    standin.edit('services/bot', (one) => (one.spec = { selector: { slot: 'green' } }))
    const patch = { metadata: { resourceVersion: metadata.resourceVersion }, spec: { type: 'X' } }
    expect(await failure(api.patch(bot, patch))).toMatchObject({ status: 409, reason: 'Conflict', retryable: true })
    expect(standin.object('services/bot').spec).toEqual({ selector: { slot: 'green' } })
  })

  it.each([
    ['answers 429', answers(429, { 'retry-after': '7' }), { status: 429, retryAfterMs: 7_000 }, 'no'],
    ['answers 408', answers(408), { status: 408 }, 'unknown'],
    ['answers 500', answers(500), { status: 500, retryAfterMs: undefined }, 'unknown'],
    ['answers 503', answers(503, { 'retry-after': 'tomorrow' }), { status: 503, retryAfterMs: undefined }, 'unknown'],
    ['hangs', hangs, { status: undefined }, 'unknown'],
    ['breaks the connection', breaks, {}, 'unknown'],
    ['does it and breaks the connection', doesAndBreaks, {}, 'unknown'],
    ['sends half an answer', sendsHalf, {}, 'unknown'],
  ])('that %s is out of reach, and what became of a patch is said', async (_, fault, facts, applied) => {
    const standin = await cluster()
    standin.fail(/GET|PATCH/, fault, 2)
    const api = standin.api({ timeoutMs: 200 })
    const code = 'KUBERNETES_UNAVAILABLE'
    expect(await failure(api.get(bot))).toMatchObject({ code, retryable: true, applied: 'no', ...facts })
    expect(await failure(api.patch(bot, { spec: {} }))).toMatchObject({ code, retryable: true, applied, ...facts })
    expect(standin.asked.length).toBe(2)
  })

  it('that is gone has written nothing', async () => {
    const standin = await cluster()
    await standin.down()
    expect(await failure(standin.api().patch(bot, {}))).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE', applied: 'no' })
  })

  it('ends a call with the reason of its signal', async () => {
    const standin = await cluster()
    standin.fail(/GET/, hangs)
    const stop = new AbortController()
    const call = failure(standin.api().get(bot, { signal: stop.signal }))
    await standin.until('GET services/bot')
    stop.abort(new Error('enough'))
    expect((await call).message).toBe('enough')
    expect((await failure(standin.api().get(bot, { signal: AbortSignal.abort(new Error('never')) }))).message).toBe(
      'never',
    )
    expect(standin.asked.length).toBe(1)
  })

  it('shows the token in no error, and in nothing that is printed', async () => {
    const standin = await cluster()
    const api = standin.api()
    const seen: unknown[] = [api]
    for (const fault of [answers(401), answers(403), answers(500), hangs, breaks, sendsHalf]) {
      standin.fail(/GET|PATCH/, fault)
      // What never ends is waited for a moment.
      const isEndless = fault === hangs || fault === sendsHalf
      seen.push(await failure((isEndless ? standin.api({ timeoutMs: 100 }) : api).patch(bot, {})))
    }
    writeFileSync(join(standin.folder, 'token'), `${standin.token} with a space`)
    seen.push(await failure(api.get(bot)))
    const printed = seen.map((one) => inspect(one, { depth: 10, showHidden: true }) + JSON.stringify(one)).join('\n')
    expect(printed).toContain('must be visible ASCII')
    expect(printed).not.toContain('token-of-the-service-account')
  })

  it('gets no token where others could read it', async () => {
    const standin = await cluster()
    let heard = ''
    const server = createServer((socket) => {
      socket.on('data', (chunk) => {
        heard += chunk.toString()
        socket.end('HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n')
      })
    })
    onTestFinished(() => void server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await failure(standin.api({ url }).get(bot))).toMatchObject({ status: 404 })
    expect(heard).toContain('GET /api/v1/namespaces/bots/services/bot')
    expect(heard.toLowerCase()).not.toContain('authorization')
  })

  it.each(['', '/'])('may be under a path, as behind a proxy for many clusters: url ends with "%s"', async (end) => {
    const standin = await cluster()
    standin.prefix = '/k8s/clusters/c-1'
    const api = standin.api({ url: `${standin.url}/k8s/clusters/c-1${end}` })
    expect(await api.get(bot)).toMatchObject({ spec: { selector: { slot: 'blue' } } })
    await api.patch(bot, { spec: { type: 'X' } })
    for await (const { spec } of api.watch(bot, '1')) {
      expect(spec).toMatchObject({ type: 'X' })
      break
    }
    expect(await failure(standin.api().get(bot))).toMatchObject({ status: 404 })
  })

  it('is not trusted because the environment says that nobody is to be verified', async () => {
    const [standin, other] = [await cluster(), await cluster()]
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await failure(standin.api({ ca: other.ca }).get(bot))).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE' })
    expect(standin.asked).toEqual([])
  })

  it('is not followed to where it redirects', async () => {
    const standin = await cluster()
    standin.fail(/GET/, says(302, '<html>', { location: `${standin.url}/login` }))
    const error = await failure(standin.api().get(bot))
    expect(error).toMatchObject({ code: 'KUBERNETES_REFUSED', status: 302, retryable: false })
    expect(error.message).toContain('it redirects')
    expect(standin.asked.length).toBe(1)
  })

  it('is told in a few words, however many it has', async () => {
    const standin = await cluster()
    standin.fail(/GET/, says(422, JSON.stringify({ reason: 'Invalid', message: 'x'.repeat(1_000_000) })))
    const error = await failure(standin.api().get(bot))
    expect(error).toMatchObject({ status: 422, reason: 'Invalid' })
    expect(error.message.length).toBeLessThan(2_000)
    standin.fail(/GET/, says(200, ' '.repeat(5_000_000)))
    expect((await failure(standin.api().get(bot))).message).toContain('longer than 4194304 bytes')
  })

  it.each([
    ['a string', () => Promise.resolve('token with a space')],
    ['thrown', () => Promise.reject(new Error('no such plugin'))],
  ])('hears nothing when the function gives no token: %s', async (_, token) => {
    const standin = await cluster()
    const error = await failure(standin.api({ token, ca: standin.ca }).patch(bot, {}))
    expect(error).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE', applied: 'no' })
    expect(error.message).toContain('the credentials cannot be read')
    expect(standin.asked).toEqual([])
  })

  const neverComes = (): Promise<string> => new Promise(() => undefined)

  it('hears nothing when the token does not come within the deadline', async () => {
    const standin = await cluster()
    const clock = new FakeClock()
    let asked = 0
    const token = (): Promise<string> => (asked++, neverComes())
    const api = standin.api({ token, ca: standin.ca, clock, timeoutMs: 1_000 })
    const first = async (): Promise<unknown> => api.watch(bot, '1')[Symbol.asyncIterator]().next()
    for (const call of [() => api.get(bot), () => api.patch(bot, {}), first]) {
      let isOver = false
      const before = asked
      const work = failure(call()).finally(() => (isOver = true))
      while (asked === before) await new Promise((resolve) => setImmediate(resolve))
      await clock.advance(999)
      expect(isOver).toBe(false)
      await clock.advance(1)
      const error = await work
      expect(error).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE', applied: 'no', retryable: true })
      expect(error.message).toContain('the credentials cannot be read: it took longer than 1000 ms')
      expect(clock.pending).toBe(0)
    }
    expect(standin.asked).toEqual([])
  })

  it('is left by the signal although the token does not come', async () => {
    const standin = await cluster()
    let asked = 0
    const token = (): Promise<string> => (asked++, neverComes())
    const api = standin.api({ token, ca: standin.ca })
    const first = async (signal: AbortSignal): Promise<unknown> =>
      api.watch(bot, '1', { signal })[Symbol.asyncIterator]().next()
    const calls = [
      (signal: AbortSignal) => api.get(bot, { signal }),
      (signal: AbortSignal) => api.patch(bot, {}, { signal }),
      first,
    ]
    for (const call of calls) {
      const stop = new AbortController()
      const work = failure(call(stop.signal))
      const before = asked
      while (asked === before) await new Promise((resolve) => setImmediate(resolve))
      stop.abort(new Error('enough'))
      expect((await work).message).toBe('enough')
    }
  })

  it('has written nothing when a token that is replaced does not come', async () => {
    const standin = await cluster()
    const clock = new FakeClock()
    let calls = 0
    const token = (): string | Promise<string> => (++calls === 1 ? 'an-old-one' : neverComes())
    const work = failure(standin.api({ token, ca: standin.ca, clock }).patch(bot, { spec: { type: 'X' } }))
    while (calls < 2) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(5_000)
    expect(await work).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE', applied: 'no' })
  })

  it('says what is missing in the pod', async () => {
    const api = kubernetesApi({ url: 'https://127.0.0.1:1', serviceAccountPath: '/no/such/folder' })
    expect((await failure(api.get(bot))).message).toContain('/no/such/folder')
  })
})

describe('a watch', () => {
  it('gives each change after a version, and ends when the connection is cut', async () => {
    const standin = await cluster()
    const { metadata } = await standin.api().get(bot)
    standin.edit('services/bot', (one) => (one.spec = { n: 1 }))
    const seen: unknown[] = []
    const watching = (async () => {
      for await (const { spec } of standin.api().watch(bot, metadata.resourceVersion)) {
        seen.push(spec)
        if (seen.length === 1) standin.edit('services/bot', (one) => (one.spec = { n: 2 }))
        else standin.cutWatches()
      }
    })()
    expect(await failure(watching)).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE' })
    expect(seen).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('from too long ago ends', async () => {
    const standin = await cluster()
    standin.oldestVersion = 1_000
    for await (const object of standin.api().watch(bot, '1')) expect(object).toBeUndefined()
    expect(standin.count('WATCH services/bot')).toBe(1)
  })

  it('from too long ago ends, also where that is the answer itself', async () => {
    const standin = await cluster()
    standin.fail(/WATCH/, answers(410))
    for await (const object of standin.api().watch(bot, '1')) expect(object).toBeUndefined()
    expect(standin.count('WATCH services/bot')).toBe(1)
  })

  it('of an object that is deleted ends', async () => {
    const standin = await cluster()
    for await (const { spec } of standin.api().watch(bot, '1')) {
      expect(spec).toEqual({ selector: { slot: 'blue' } })
      standin.remove('services/bot')
    }
    expect(standin.count('WATCH services/bot')).toBe(1)
  })

  it('that hears what is no JSON shows nothing of it', async () => {
    const standin = await cluster()
    standin.fail(/WATCH/, says(200, 'password=hunter2\n'))
    const error = await failure(standin.api().watch(bot, '1')[Symbol.asyncIterator]().next())
    expect(error).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE' })
    expect(inspect(error, { depth: 10 })).not.toContain('passw')
  })

  it('that is left lets go of the connection', async () => {
    const standin = await cluster()
    for await (const { spec } of standin.api().watch(bot, '1')) {
      expect(spec).toEqual({ selector: { slot: 'blue' } })
      break
    }
    await standin.down()
  })
})

it('options that make no sense are refused, and the token is not shown', () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ url: undefined }, 'This is no pod'],
    [{ url: 'ftp://x' }, 'must begin with https://'],
    [{ url: 'http://kubernetes.default' }, 'http:// is for kubectl proxy'],
    [{ url: 'https://a:secret-token@x' }, 'hold no password'],
    [{ url: 'https://x/?token=secret-token' }, 'nothing behind its path'],
    [{ url: 'https://x/#secret-token' }, 'nothing behind its path'],
    [{ token: 'secret-token with a space' }, 'must be visible ASCII'],
    [{ namespace: '../x' }, 'namespace must be a name of Kubernetes'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ port: 1 }, 'has no option "port"'],
  ]
  for (const [options, words] of wrong) {
    const make = (): unknown => kubernetesApi({ url: 'https://x', ...options })
    expect(make).toThrow(words)
    expect(make).not.toThrow('secret-token')
  }
})
