import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { HealthMonitor, httpCheck } from '@evenkeel/health-monitor'

// A translation service on this machine, so that the example can kill it.
const service = createServer((_, response) => response.end('ok'))
service.listen(0, '127.0.0.1')
await once(service, 'listening')
const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`

const health = new HealthMonitor({
  checks: {
    translation: {
      check: httpCheck(url),
      critical: false,
      intervalMs: 50,
      timeoutMs: 500,
      recheckMs: 20,
      failuresToDown: 3,
    },
    memory: { check: () => process.memoryUsage.rss() < 4_000_000_000 },
  },
})
health.on('change', ({ message }) => console.log(message))
await health.start()
await health.checkNow()
console.log(health.status) // => up

service.closeAllConnections()
service.close()
while (health.status === 'up') await sleep(10)
console.log(health.status, health.components.get('translation')?.status) // => degraded down
await health.stop()
