import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { Alerts } from '../alerts.js'
import type { Channel } from '../channels/channel.js'
import { DeliveryError } from '../errors.js'
import { MailServer } from '../test-support/mail-server.js'
import { message, notice } from '../test-support/messages.js'
import { emailChannel, type EmailChannelOptions } from './email-channel.js'

const PASSWORD = 'p4ss-W0rd-that-nobody-sees'
const open: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function begin(options: Partial<EmailChannelOptions> = {}, offersTls = false) {
  const server = await MailServer.start(offersTls)
  open.push(() => server[Symbol.asyncDispose]())
  const to = options.to ?? ['ops@example.com', 'boss@example.com']
  const base = { host: '127.0.0.1', port: server.port, from: 'Bot <bot@example.com>', timeoutMs: 5_000 }
  const channel = emailChannel({ ...base, ...options, to })
  open.push(async () => channel.close?.())
  return { server, channel }
}

async function failureOf(channel: Channel): Promise<DeliveryError> {
  try {
    await channel.send(message(), AbortSignal.timeout(5_000))
  } catch (error) {
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(PASSWORD)
    if (error instanceof DeliveryError) return error
    throw error
  }
  throw new Error('It was accepted')
}

describe('an e-mail channel', () => {
  it('sends a mail with the key of the message', async () => {
    const { server, channel } = await begin()
    await channel.send(message([notice({ name: 'db\r\nBcc: thief@example.com' })]), AbortSignal.timeout(5_000))
    const [mail = ''] = server.mails
    expect(mail).toMatch(/^Message-ID: <m1@alerts\.evenkeel>\r$/im)
    expect(mail).toMatch(/^Idempotency-Key: m1\r$/im)
    expect(mail).toMatch(/^Subject: \[alert\] CRITICAL db Bcc: thief@example\.com\r$/im)
    expect(mail).not.toMatch(/^Bcc:/im)
    expect(mail).toContain('component: database')
    expect(mail).toContain('To: ops@example.com, boss@example.com')
  })

  it('logs in when it has a password', async () => {
    const { server, channel } = await begin({ user: 'bot', password: PASSWORD, requireTls: false })
    await channel.send(message(), AbortSignal.timeout(5_000))
    expect([server.logins, server.mails.length]).toEqual([['bot'], 1])
  })

  it('sends its password over no open line', async () => {
    const { server, channel } = await begin({ user: 'bot', password: PASSWORD })
    expect(await failureOf(channel)).toMatchObject({ scope: 'channel' })
    expect([server.logins, server.mails]).toEqual([[], []])
  })

  it.each([
    ['a login', { login: 535 }, false, 'channel'],
    ['every recipient', { recipients: { 'ops@example.com': 550, 'boss@example.com': 550 } }, false, 'channel'],
    ['the content for now', { content: 451 }, true, 'channel'],
    ['the content', { content: 552 }, false, 'message'],
    ['a recipient for now', { recipients: { 'ops@example.com': 450, 'boss@example.com': 450 } }, true, 'channel'],
  ])('tells what it means when the server refuses %s', async (_, behaviour, retryable, scope) => {
    const { server, channel } = await begin({ user: 'bot', password: PASSWORD, requireTls: false })
    server.behaviour = behaviour
    const error = await failureOf(channel)
    expect({ retryable: error.retryable, scope: error.scope }).toEqual({ retryable, scope })
  })

  it('is degraded when one of several recipients is refused', async () => {
    const { server, channel } = await begin()
    server.behaviour = { recipients: { 'boss@example.com': 550 } }
    const report = await channel.send(message(), AbortSignal.timeout(5_000))
    expect(report).toEqual({ trouble: 'the server refuses 1 of 2 recipients' })
    expect(server.mails).toHaveLength(1)
  })

  it('can be tried again when the server is not there, or does not answer', async () => {
    const { server, channel } = await begin({ timeoutMs: 200 })
    server.behaviour = { hangs: true }
    expect((await failureOf(channel)).retryable).toBe(true)
    const nobody = emailChannel({ host: '127.0.0.1', port: 9, from: 'a@b.example', to: 'c@d.example' })
    expect((await failureOf(nobody)).message).toContain('ESOCKET')
  })

  it('is a channel as any other', async () => {
    const { server, channel } = await begin({ user: 'bot', password: PASSWORD, requireTls: false })
    const alerts = new Alerts({ channels: { mail: channel }, path: false })
    await alerts.start()
    alerts.fire({ name: 'leak', severity: 'CRITICAL', message: `the password is ${PASSWORD}` })
    expect(await alerts.flush()).toEqual({ pending: 0 })
    await alerts.stop()
    expect(server.mails).toHaveLength(1)
    expect(server.mails[0]).not.toContain(PASSWORD)
    expect(inspect(alerts, { depth: 9, showHidden: true })).not.toContain(PASSWORD)
  })

  it('takes a transport that was made elsewhere, and leaves it open', async () => {
    const subjects: string[] = []
    let isClosed = false
    const transport = {
      sendMail: async ({ subject }: { subject: string }) => {
        subjects.push(subject)
        return {}
      },
      close: () => void (isClosed = true),
    }
    const channel = emailChannel({ transport, from: 'a@b.example', to: 'c@d.example', subjectPrefix: '!!' })
    await channel.send(message(), AbortSignal.timeout(1_000))
    await channel.close?.()
    expect([subjects, isClosed]).toEqual([['!! CRITICAL database down'], false])
  })

  it.each([
    [{ from: 'nobody', to: 'a@b.example', host: 'x' }],
    [{ from: 'a@b.example', to: [], host: 'x' }],
    [{ from: 'a@b.example\r\nBcc: x@y.example', to: 'a@b.example', host: 'x' }],
    [{ from: 'a@b.example', to: 'a@b.example' }],
    [{ from: 'a@b.example', to: 'a@b.example', host: 'x', user: 'u' }],
    [{ from: 'a@b.example', to: 'a@b.example', host: 'x', tls: true }],
  ])('refuses %j', (options) => {
    expect(() => emailChannel(options as never)).toThrow(TypeError)
  })
})
