import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { SMTPServer } from 'smtp-server'

/** What a test wants the server to do. */
export interface MailBehaviour {
  /** The code to refuse a login with. */
  login?: number
  /** The code to refuse a recipient with, by address. */
  recipients?: Readonly<Record<string, number>>
  /** The code to refuse the content with. */
  content?: number
  /** Never answers the content. */
  hangs?: boolean
}

/** A real SMTP server, which keeps what it takes. */
export class MailServer implements AsyncDisposable {
  readonly mails: string[] = []
  readonly logins: string[] = []
  behaviour: MailBehaviour = {}
  readonly #server

  private constructor(offersTls: boolean) {
    const refusal = (code: number): Error => Object.assign(new Error('refused'), { responseCode: code })
    const answer = (code: number | undefined, callback: (error?: Error) => void): void =>
      code === undefined ? callback() : callback(refusal(code))
    this.#server = new SMTPServer({
      authOptional: true,
      // One that hangs is not waited for.
      closeTimeout: 50,
      allowInsecureAuth: true,
      hideSTARTTLS: !offersTls,
      disabledCommands: offersTls ? [] : ['STARTTLS'],
      onAuth: (
        auth: { username: string },
        _session: unknown,
        callback: (error: Error | null, user?: object) => void,
      ) => {
        this.logins.push(auth.username)
        const { login } = this.behaviour
        if (login === undefined) callback(null, { user: auth.username })
        else callback(refusal(login))
      },
      onRcptTo: ({ address }: { address: string }, _session: unknown, callback: (error?: Error) => void) =>
        answer(this.behaviour.recipients?.[address], callback),
      onData: (stream: Readable, _session: unknown, callback: (error?: Error) => void) => {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          if (this.behaviour.hangs === true) return
          if (this.behaviour.content === undefined) this.mails.push(Buffer.concat(chunks).toString('utf8'))
          answer(this.behaviour.content, callback)
        })
      },
    })
    this.#server.on('error', () => undefined)
  }

  static async start(offersTls = false): Promise<MailServer> {
    const server = new MailServer(offersTls)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server.server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(resolve))
  }
}
