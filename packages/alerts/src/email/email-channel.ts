import { type Channel, type ChannelOptions, channelOptionsOf, requireChannelOptions } from '../channels/channel.js'
import { DeliveryError, MissingPackageError } from '../errors.js'
import { mailOf } from './mail.js'
import type { Mailer, MailTransport } from './ports.js'

/** How {@link emailChannel} sends. */
export interface EmailChannelOptions extends ChannelOptions {
  /** Who sends: `Bot <bot@example.com>`. */
  readonly from: string
  /** Who gets it, one address or several. */
  readonly to: string | readonly string[]
  /** The server's name. Needed unless there is a `transport`. */
  readonly host?: string
  /**
   * The server's port.
   *
   * @defaultValue 587, or 465 with `secure`
   */
  readonly port?: number
  /**
   * Whether the connection is encrypted from the beginning. Without it, encryption begins when the server offers it.
   *
   * @defaultValue `false`
   */
  readonly secure?: boolean
  /**
   * Whether to send only over an encrypted connection. It is so without being told when there is a password.
   *
   * @defaultValue `true` with a password, `false` without
   */
  readonly requireTls?: boolean
  /** The name to log in with. */
  readonly user?: string
  /** The password. It is never shown. */
  readonly password?: string
  /**
   * What every subject begins with.
   *
   * @defaultValue `[alert]`
   */
  readonly subjectPrefix?: string
  /** A transport of your own, made with nodemailer's `createTransport`, in place of a host. */
  readonly transport?: MailTransport
}

/** What {@link emailChannel} uses when its options leave it open. */
export const emailChannelDefaults: Required<
  Pick<EmailChannelOptions, 'maxPerMinute' | 'secure' | 'subjectPrefix' | 'timeoutMs'>
> = {
  // A mail is slower than a chat, and a mailbox fills up sooner.
  maxPerMinute: 4,
  timeoutMs: 30_000,
  secure: false,
  subjectPrefix: '[alert]',
}

/** The most notices in one mail; more become a digest. */
const MAX_NOTICES = 50

/**
 * Sends alerts by e-mail, with nodemailer, which has to be installed: `npm install nodemailer`. It is loaded when the
 * first mail is sent.
 *
 * @remarks
 * The header `Message-ID` is made from the message's key: a mail that is sent again, after a crash too, has the same,
 * and most mail programs show it once. An answer of the server that begins with 4 is tried again; a login or an
 * address that it refuses means that the channel is out of order.
 *
 * @param options - the server, and who writes to whom
 * @returns the channel
 * @throws TypeError when an address or the server is missing, or an option does not exist
 *
 * @example
 * ```ts
 * import { Alerts } from '@evenkeel/alerts'
 * import { emailChannel } from '@evenkeel/alerts/email'
 *
 * const mail = emailChannel({
 *   host: 'smtp.example.com',
 *   user: 'bot@example.com',
 *   password: process.env['SMTP_PASSWORD'] ?? 'not the real one',
 *   from: 'Bot <bot@example.com>',
 *   to: 'ops@example.com',
 *   filter: { severity: 'CRITICAL' },
 * })
 * const alerts = new Alerts({ channels: { mail }, path: 'data/alerts' })
 * console.log([...alerts.components.keys()]) // => [ 'mail', 'console', 'spool' ]
 * ```
 */
export function emailChannel(options: EmailChannelOptions): Channel {
  const known = ['from', 'to', 'host', 'port', 'secure', 'requireTls', 'user', 'password', 'subjectPrefix', 'transport']
  requireChannelOptions('emailChannel', options, known)
  const { from, host, user, password, secure = emailChannelDefaults.secure, transport } = options
  const to = typeof options.to === 'string' ? [options.to] : options.to
  const isAddress = (text: unknown): boolean => typeof text === 'string' && text.includes('@') && !/[\r\n]/.test(text)
  if (!isAddress(from)) throw new TypeError('emailChannel: from must be an address, such as Bot <bot@example.com>')
  if (!Array.isArray(to) || to.length === 0 || !to.every(isAddress)) {
    throw new TypeError('emailChannel: to must be an address or a list of some')
  }
  if ((host === undefined) === (transport === undefined)) {
    throw new TypeError('emailChannel: give either host or transport')
  }
  if ((user === undefined) !== (password === undefined)) {
    throw new TypeError('emailChannel: user and password go together')
  }
  const prefix = options.subjectPrefix ?? emailChannelDefaults.subjectPrefix
  const { maxPerMinute, timeoutMs: defaultMs } = emailChannelDefaults
  const common = { maxPerMinute, timeoutMs: defaultMs, ...channelOptionsOf('emailChannel', options) }
  let current = transport
  const connect = async (): Promise<MailTransport> => {
    if (current !== undefined) return current
    const { port = secure ? 465 : 587, requireTls = password !== undefined } = options
    const auth = user === undefined ? {} : { auth: { user, pass: password } }
    const { timeoutMs } = common
    const waits = { connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs }
    const safe = { requireTLS: requireTls && !secure, disableFileAccess: true, disableUrlAccess: true }
    return (current ??= (await loadMailer()).createTransport({ host, port, secure, ...safe, ...auth, ...waits }))
  }
  return {
    options: common,
    maxNotices: MAX_NOTICES,
    digests: true,
    secrets: () => secretsOf(user, password),
    async send(message) {
      const mailer = await connect()
      try {
        const { rejected = [] } = await mailer.sendMail(mailOf(message, from, to, prefix))
        return rejected.length > 0
          ? { trouble: `the server refuses ${rejected.length} of ${to.length} recipients` }
          : undefined
      } catch (error) {
        throw toDeliveryError(error)
      }
    },
    close() {
      // One that was handed in belongs to whoever made it.
      if (transport === undefined) current?.close()
    },
  }
}

async function loadMailer(): Promise<Mailer> {
  try {
    const loaded = (await import('nodemailer')) as unknown as Mailer & { default?: Mailer }
    return loaded.default ?? loaded
  } catch {
    throw new MissingPackageError('emailChannel', 'nodemailer')
  }
}

/** Also as they are sent when one logs in. */
function secretsOf(user: string | undefined, password: string | undefined): string[] {
  if (user === undefined || password === undefined) return []
  return [password, Buffer.from(`\0${user}\0${password}`).toString('base64')]
}

/** The server's own words stay out: they may repeat what it was sent. */
function toDeliveryError(error: unknown): DeliveryError {
  const { code, responseCode, command } = error as { code?: unknown; responseCode?: unknown; command?: unknown }
  const answer = typeof responseCode === 'number' ? ` with ${responseCode}` : ''
  const at = typeof command === 'string' && command !== '' ? ` at ${command.split(' ')[0] ?? ''}` : ''
  const reason = `the mail server failed${at}${answer} (${typeof code === 'string' ? code : 'no code'})`
  if (typeof responseCode !== 'number' || responseCode < 500) {
    return new DeliveryError(reason, { retryable: true, applied: 'unknown' })
  }
  // A login, a sender or a recipient that it refuses, it refuses for the next mail too.
  return new DeliveryError(reason, { retryable: false, scope: code === 'EMESSAGE' ? 'message' : 'channel' })
}
