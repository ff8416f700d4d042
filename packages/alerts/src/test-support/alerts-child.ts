import { writeSync } from 'node:fs'
import { Alerts } from '../alerts.js'
import { webhookChannel } from '../channels/webhook-channel.js'
import { watchDisk } from './faulty-disk.js'

/*
 * A bot that raises alerts until it is killed. It says on its standard output "S <name>" when an alert is stored, and at
 * the end "E <accounting>".
 *
 *   alerts-child <spool> <webhook> <first number> <how many> <step at which it kills itself, 0 for never>
 */
const [path = '', url = '', first = '0', count = '0', killAt = '0'] = process.argv.slice(2)

const say = writeSync
let steps = 0

function step(_what: string, half?: () => void): undefined {
  if (++steps !== Number(killAt)) return undefined
  half?.()
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}

watchDisk(step)
const realFetch = globalThis.fetch
globalThis.fetch = async (...request: Parameters<typeof fetch>) => {
  step('before a request')
  const response = await realFetch(...request)
  step('after a request')
  return response
}

async function main(): Promise<void> {
  const hook = webhookChannel({ url, timeoutMs: 2_000, maxPerMinute: 100_000 })
  const alerts = new Alerts({ channels: { hook }, path, groupWaitMs: 5, fallbackAfterMs: 86_400_000 })
  await alerts.start()
  for (let n = Number(first); n < Number(first) + Number(count); n++) {
    const alert = alerts.fire({ name: `alert ${n}`, severity: 'CRITICAL', message: 'm', labels: { n } })
    alerts.fire({ name: `alert ${n}`, severity: 'CRITICAL', message: 'again', labels: { n } })
    if ((await alert.stored()) === 'disk') say(1, `S alert ${n}\n`)
  }
  // Telling sets off news too: that the channel works again, for one.
  for (let round = 0; round < 5 && alerts.accounting.pending > 0; round++) await alerts.flush({ timeoutMs: 20_000 })
  await alerts.stop()
  say(1, `E ${JSON.stringify(alerts.accounting)}\n`)
}

main().catch((error: unknown) => {
  say(2, `${String(error)}\n`)
  process.exit(1)
})
