import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type AlertNotice, verifyWebhook, type WebhookPayload } from '@evenkeel/alerts'

/** What operators were told of one thing. */
export interface Told {
  /** That it began: how often, and when first, epoch ms. */
  readonly began: number
  readonly beganAt: number | undefined
  /** That it was over: how often, and when last, epoch ms. */
  readonly ended: number
  readonly endedAt: number | undefined
}

/** Where the operators of the demo get their alerts: a webhook's receiver, which trusts nothing that is not signed. */
export async function startInbox() {
  const secret = 'of the demo alone'
  const notices = new Map<string, AlertNotice & { readonly cameAt: number }>()
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      if (!verifyWebhook({ secret, body, headers: request.headers })) {
        response.writeHead(401).end()
        return
      }
      const { notices: told } = JSON.parse(body) as WebhookPayload
      // The same notice has the same id, however often it comes.
      for (const notice of told) if (!notices.has(notice.id)) notices.set(notice.id, { ...notice, cameAt: Date.now() })
      response.writeHead(204).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    secret,
    /** How many alerts came. */
    get count(): number {
      return notices.size
    },
    /** What came about the alert of this name. */
    about(name: string): Told {
      const of = (kind: AlertNotice['kind']) =>
        [...notices.values()].filter((notice) => notice.name === name && notice.kind === kind)
      const [began, ended] = [of('firing'), of('resolved')]
      return {
        began: began.length,
        beganAt: began[0]?.cameAt,
        ended: ended.length,
        endedAt: ended.at(-1)?.cameAt,
      }
    },
    async stop(): Promise<void> {
      server.close()
      server.closeAllConnections()
    },
  }
}
