import { Alerts, type Channel, webhookChannel } from '@evenkeel/alerts'
import { emailChannel } from '@evenkeel/alerts/email'

declare const channel: Channel

const alerts = new Alerts({
  channels: { ops: webhookChannel({ url: 'https://x.example/' }), mail: channel },
  routes: [{ severity: 'CRITICAL', matching: { component: ['db', 'cache'] }, to: ['ops', 'console'] }],
  fallback: 'mail',
  path: 'data/alerts',
})
const disk: Promise<'disk' | 'memory'> = alerts
  .fire({ name: 'a', severity: 'INFO', message: 'm', labels: { n: 1 } })
  .stored()
void disk
alerts.report('anything that can be thrown')

// @ts-expect-error a route to a channel that was not declared
new Alerts({ channels: { ops: channel }, routes: [{ to: ['pager'] }], path: false })

// @ts-expect-error a fallback that was not declared
new Alerts({ channels: { ops: channel }, fallback: 'pager', path: false })

// @ts-expect-error where alerts are kept must be said
new Alerts({ channels: { ops: channel } })

// @ts-expect-error a severity that does not exist
alerts.fire({ name: 'a', severity: 'FATAL', message: 'm' })

// @ts-expect-error a label is a word
alerts.fire({ name: 'a', severity: 'INFO', message: 'm', labels: { a: {} } })

// @ts-expect-error a silence says by whom
alerts.silence({ matching: { a: 'b' }, forMs: 1, why: 'w' })

// @ts-expect-error a mail has somebody who gets it
emailChannel({ host: 'x', from: 'a@b.example' })
