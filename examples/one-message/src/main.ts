import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Alerts, verifyWebhook, webhookChannel, type WebhookPayload } from '@evenkeel/alerts'

// Whoever is on call: a receiver on this machine, which asks for a pause at first, as chat platforms do.
const secret = 'known to both sides'
let requests = 0
const pager = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    if (++requests === 1) return response.writeHead(429, { 'retry-after': '0.1' }).end()
    const body = Buffer.concat(chunks)
    if (!verifyWebhook({ secret, body, headers: request.headers })) return response.writeHead(401).end()
    const { notices } = JSON.parse(body.toString()) as WebhookPayload
    for (const { kind, name, count } of notices) console.log(`pager: ${kind} ${name} ×${count}`)
    return response.end()
  })
}).listen(0, '127.0.0.1')
await once(pager, 'listening')

const url = `http://127.0.0.1:${(pager.address() as AddressInfo).port}/hook`
const alerts = new Alerts({
  channels: { pager: webhookChannel({ url, secret }) },
  path: 'data/alerts',
  groupWaitMs: 50,
  digestMs: 500,
})
alerts.on('change', ({ message }) => console.log(message))
await alerts.start()

// A query fails for a thousand users.
const query = (user: number): never => {
  throw new TypeError(`user ${user} cannot be read`)
}
for (let user = 0; user < 1_000; user++) {
  try {
    query(user)
  } catch (error) {
    alerts.report(error, { labels: { command: 'search' } })
  }
}

while (alerts.accounting.delivered < 2) await new Promise((resolve) => alerts.once('delivered', resolve))
// => pager: firing TypeError ×1
// => pager: repeated TypeError ×999

const { accepted, delivered, merged, pending } = alerts.accounting
console.log(accepted, delivered, merged, pending) // => 1001 2 999 0
await alerts.stop()
pager.closeAllConnections()
pager.close()
