import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { DeliveryError } from '../errors.js'
import { message, notice } from '../test-support/messages.js'
import { accept, type Behaviour, Receiver, TOKEN } from '../test-support/receiver.js'
import { temporaryDirectory } from '../test-support/directories.js'
import type { Channel } from './channel.js'
import { consoleChannel } from './console-channel.js'
import { discordChannel } from './discord-channel.js'
import type { DiscordPayload } from './discord-payload.js'
import { fileChannel } from './file-channel.js'
import { verifyWebhook } from './signature.js'
import { slackChannel } from './slack-channel.js'
import { webhookChannel } from './webhook-channel.js'

const open: AsyncDisposable[] = []

afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]()
})

async function receive(behave?: Behaviour): Promise<Receiver> {
  const receiver = await Receiver.start(behave)
  open.push(receiver)
  return receiver
}

const answers =
  (status: number, headers: Record<string, string> = {}, body = ''): Behaviour =>
  (response) =>
    void response.writeHead(status, headers).end(body)

async function failureOf(channel: Channel, signal: AbortSignal = AbortSignal.timeout(5_000)): Promise<DeliveryError> {
  try {
    await channel.send(message(), signal)
  } catch (error) {
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(TOKEN)
    if (error instanceof DeliveryError) return error
    throw error
  }
  throw new Error('It was accepted')
}

const kinds = [
  ['webhook', (url: string) => webhookChannel({ url, secret: TOKEN })],
  ['Slack', (url: string) => slackChannel({ url })],
  ['Discord', (url: string) => discordChannel({ url })],
] as const

describe.each(kinds)('a %s channel', (_, make) => {
  it('sends JSON with the key of the message', async () => {
    const receiver = await receive()
    await make(receiver.url()).send(message(), AbortSignal.timeout(5_000))
    const [request] = receiver.received
    expect(request?.headers).toMatchObject({ 'idempotency-key': 'm1', 'content-type': 'application/json' })
    expect(request?.url).toContain(TOKEN)
    expect(request?.text).toContain('m1')
    expect(request?.text).toContain('database down')
  })

  it.each([
    ['a number of seconds', answers(429, { 'retry-after': '3' }), 3_000],
    ['nothing', answers(429), undefined],
    ['a page that is no JSON', answers(429, {}, '<html>'), undefined],
    ['a pause although it is overloaded', answers(503, { 'retry-after': '7' }), 7_000],
    ['an error', answers(500), undefined],
    ['a timeout of its own', answers(408), undefined],
  ])('tries again when it is answered with %s', async (_what, behave, retryAfterMs) => {
    const receiver = await receive(behave)
    const error = await failureOf(make(receiver.url()))
    expect({ retryable: error.retryable, retryAfterMs: error.retryAfterMs }).toEqual({ retryable: true, retryAfterMs })
  })

  it('understands a date to come back at', async () => {
    const receiver = await receive(
      (response) => void response.writeHead(429, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() }).end(),
    )
    const { retryAfterMs = 0 } = await failureOf(make(receiver.url()))
    expect(retryAfterMs).toBeGreaterThan(50_000)
    expect(retryAfterMs).toBeLessThanOrEqual(60_000)
  })

  it.each([
    [401, 'channel'],
    [403, 'channel'],
    [404, 'channel'],
    [410, 'channel'],
    [405, 'channel'],
    [415, 'channel'],
    [302, 'channel'],
    [400, 'message'],
    [413, 'message'],
    [422, 'message'],
  ])('does not insist when it is answered with %i: it is about the %s', async (status, scope) => {
    const receiver = await receive(answers(status, { location: 'http://127.0.0.1:9/' }))
    const error = await failureOf(make(receiver.url()))
    expect({ retryable: error.retryable, scope: error.scope }).toEqual({ retryable: false, scope })
  })

  it('follows no redirect with its secret', async () => {
    const thief = await receive()
    const receiver = await receive(answers(307, { location: thief.url() }))
    await failureOf(make(receiver.url()))
    expect(thief.received).toEqual([])
  })

  it('reads no more of an answer than it needs, even if that never ends', async () => {
    let sent = 0
    let isClosed = false
    const receiver = await receive((response) => {
      response.writeHead(200)
      response.on('close', () => (isClosed = true))
      const chunk = Buffer.alloc(65_536, 'x')
      const write = (): void => {
        while (!isClosed && response.write(chunk)) sent += chunk.length
        if (!isClosed) response.once('drain', write)
      }
      write()
    })
    await make(receiver.url()).send(message(), AbortSignal.timeout(5_000))
    expect(sent).toBeLessThan(50_000_000)
  })

  it('has told people when it is answered with 200, even if that answer never ends', async () => {
    const receiver = await receive((response) => void response.writeHead(200).write('{'))
    await make(receiver.url()).send(message(), new AbortController().signal)
    expect(receiver.received).toHaveLength(1)
  })

  it('fails when nobody listens, when the line is cut, and when the signal aborts', async () => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as { port: number }
    nobody.close()
    await once(nobody, 'close')
    const refused = await failureOf(make(`http://127.0.0.1:${port}/hooks/${TOKEN}`))
    expect(refused.message).toBe('127.0.0.1 could not be reached: ECONNREFUSED')
    const cutting = await receive((response) => void response.socket?.destroy())
    expect(await failureOf(make(cutting.url()))).toMatchObject({ retryable: true, applied: 'unknown' })
    const hanging = await receive(() => undefined)
    expect(await failureOf(make(hanging.url()), AbortSignal.timeout(50))).toMatchObject({ retryable: true })
  })

  it('shows its secret to nobody who looks at it', () => {
    const channel = make(`https://hooks.example.com/services/${TOKEN}`)
    expect(inspect(channel, { depth: 9, showHidden: true })).not.toContain(TOKEN)
    expect(JSON.stringify(channel)).not.toContain(TOKEN)
    expect(channel.secrets?.()).toContain(TOKEN)
  })

  it.each(['nonsense', 'ftp://x.example/', `https://user:${TOKEN}@x.example/`])('refuses the address %s', (url) => {
    let thrown: unknown
    try {
      make(url)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(TypeError)
    expect(inspect(thrown)).not.toContain(TOKEN)
  })

  it('refuses options that do not exist, and wrong ones', () => {
    const bad = (options: object) => () => discordChannel({ url: 'https://x.example/', ...options })
    expect(bad({ urls: 1 })).toThrow(/no option "urls"/)
    expect(bad({ timeoutMs: 0 })).toThrow(RangeError)
    expect(bad({ maxPerMinute: -1 })).toThrow(RangeError)
    expect(bad({ filter: 'x' })).toThrow(TypeError)
  })
})

describe('a webhook', () => {
  it('can be verified by whoever receives it, and by nobody who changed it', async () => {
    const receiver = await receive()
    await webhookChannel({ url: receiver.url(), secret: TOKEN }).send(message(), AbortSignal.timeout(5_000))
    const [request] = receiver.received
    const { headers = {}, text: body = '' } = request ?? {}
    expect(verifyWebhook({ secret: TOKEN, body, headers })).toBe(true)
    expect(verifyWebhook({ secret: TOKEN, body: body.replace('CRITICAL', 'INFO'), headers })).toBe(false)
    expect(JSON.parse(body)).toEqual({ version: 1, ...message() })
  })

  it('refuses headers that nobody can send, without showing them', () => {
    const make = (): unknown => webhookChannel({ url: 'https://x.example/', headers: { authorization: `${TOKEN}\n` } })
    expect(make).not.toThrow()
    const broken = (): unknown => webhookChannel({ url: 'https://x.example/', headers: { 'a b': TOKEN } })
    expect(broken).toThrow(TypeError)
    expect(broken).not.toThrow(TOKEN)
  })

  it('carries headers of its own, whose values are secret', async () => {
    const receiver = await receive()
    const channel = webhookChannel({ url: receiver.url(), headers: { authorization: `Bearer ${TOKEN}` } })
    await channel.send(message(), AbortSignal.timeout(5_000))
    expect(receiver.received[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
    expect(channel.secrets?.()).toContain(`Bearer ${TOKEN}`)
  })
})

describe('Discord', () => {
  it('is left alone for as long as the body of its 429 says, which is more exact than its header', async () => {
    const receiver = await receive(answers(429, { 'retry-after': '2' }, '{"retry_after":1.234,"global":true}'))
    expect((await failureOf(discordChannel({ url: receiver.url() }))).retryAfterMs).toBe(1_234)
  })

  it('is left alone when it says that no request is left', async () => {
    const headers = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '1.5' }
    const receiver = await receive(answers(200, headers, '{}'))
    const report = await discordChannel({ url: receiver.url() }).send(message(), AbortSignal.timeout(5_000))
    expect(report).toEqual({ waitMs: 1_500 })
  })

  it('is asked to confirm, and mentions nobody', async () => {
    const receiver = await receive(accept)
    await discordChannel({ url: receiver.url() }).send(message(), AbortSignal.timeout(5_000))
    expect(receiver.received[0]?.url).toMatch(/\?wait=true$/)
    expect(receiver.bodies<DiscordPayload>()[0]?.allowed_mentions).toEqual({ parse: [] })
  })
})

describe('a console channel', () => {
  it('writes a line for each notice, by its severity, without terminal escapes', async () => {
    const lines: string[] = []
    const sink = {
      info: (line: string) => lines.push(`info ${line}`),
      warn: (line: string) => lines.push(`warn ${line}`),
      error: (line: string) => lines.push(`error ${line}`),
    }
    const notices = [
      notice({ message: 'a\n\u001b[2Jb' }),
      notice({ severity: 'WARNING', kind: 'repeated', count: 9, labels: {} }),
      notice({ kind: 'resolved', at: Date.UTC(2026, 0, 1, 0, 5) }),
    ]
    await consoleChannel({ sink }).send(message(notices), AbortSignal.timeout(1_000))
    expect(lines).toEqual([
      'error [alert] CRITICAL database down: a [2Jb {component=database}',
      'warn [alert] WARNING database down (9 more): connection refused',
      'info [alert] RESOLVED database down (after 5 min): connection refused {component=database}',
    ])
  })

  it('refuses a sink that cannot write', () => {
    expect(() => consoleChannel({ sink: {} as never })).toThrow(TypeError)
  })
})

describe('a file channel', () => {
  it('writes a line for each notice, and begins a new file when one is full', async () => {
    const directory = await temporaryDirectory()
    open.push(directory)
    const path = `${directory.path}/deep/alerts.jsonl`
    const channel = fileChannel({ path, maxBytes: 1_000, maxFiles: 2 })
    for (let n = 0; n < 12; n++) {
      await channel.send(message([notice({ id: `n${n}` })], { id: `m${n}` }), AbortSignal.timeout(1_000))
    }
    expect((await readdir(`${directory.path}/deep`)).sort()).toEqual([
      'alerts.jsonl',
      'alerts.jsonl.1',
      'alerts.jsonl.2',
    ])
    const names = ['alerts.jsonl.2', 'alerts.jsonl.1', 'alerts.jsonl']
    const texts = await Promise.all(names.map((name) => readFile(`${directory.path}/deep/${name}`, 'utf8')))
    const ids = texts
      .join('')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id)
    expect(ids.at(-1)).toBe('n11')
    expect(ids).toEqual(ids.map((_, index) => `n${12 - ids.length + index}`))
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(1_000)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('ends a line that a crash or a full disk cut short, so that it spoils no other', async () => {
    const directory = await temporaryDirectory()
    open.push(directory)
    const path = `${directory.path}/alerts.jsonl`
    await writeFile(path, '{"messageId":"m0","na')
    await fileChannel({ path }).send(message(), AbortSignal.timeout(1_000))
    const lines = (await readFile(path, 'utf8')).split('\n')
    expect(lines).toHaveLength(3)
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ id: 'n1' })
  })

  it('does not write while it still writes', async () => {
    const directory = await temporaryDirectory()
    open.push(directory)
    const channel = fileChannel({ path: `${directory.path}/alerts.jsonl` })
    const first = channel.send(message(), AbortSignal.timeout(1_000))
    await expect(channel.send(message(), AbortSignal.timeout(1_000))).rejects.toMatchObject({ retryable: true })
    await first
    await channel.send(message(), AbortSignal.timeout(1_000))
  })

  it('fails when it cannot write', async () => {
    const directory = await temporaryDirectory()
    open.push(directory)
    await writeFile(`${directory.path}/file`, '')
    const channel = fileChannel({ path: `${directory.path}/file/alerts.jsonl` })
    await expect(channel.send(message(), AbortSignal.timeout(1_000))).rejects.toThrow()
  })

  it.each([{ path: '' }, { path: 'a', maxFiles: -1 }, { path: 'a', maxBytes: 0 }, { path: 'a', maxFiles: 0.5 }])(
    'refuses %j',
    (options) => {
      expect(() => fileChannel(options)).toThrow()
    },
  )
})
