import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'

const packageFolder = fileURLToPath(new URL('../..', import.meta.url))

it('a process ends by itself although every ready-made check has looked and is being looked at', async () => {
  const server = createServer((_request, response) => response.writeHead(200).end('well'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const code = `
    import { EventEmitter } from 'node:events'
    import * as all from '@evenkeel/health-monitor'
    import { discordCheck, discordRestCheck } from '@evenkeel/health-monitor/discord'
    const url = 'http://127.0.0.1:${port}/'
    const health = new all.HealthMonitor({
      checks: {
        cpu: { check: all.cpuCheck() },
        disk: { check: all.diskCheck('.') },
        errors: { check: all.errorRateCheck(() => ({ calls: 0, failures: 0 })) },
        gateway: { check: discordCheck({ ws: { shards: new Map() } }) },
        growth: { check: all.memoryGrowthCheck() },
        latency: { check: all.latencyCheck(() => ({ bounds: [1], counts: [0] })) },
        log: { check: all.logCheck('package.json') },
        loop: { check: all.loopCheck() },
        memory: { check: all.memoryCheck() },
        process: { check: all.processCheck({ pid: process.pid }) },
        rest: { check: discordRestCheck({ rest: new EventEmitter() }) },
        tcp: { check: all.tcpCheck({ port: ${port} }) },
        web: { check: all.httpCheck(url) },
      },
    })
    await health.start()
    const seen = await health.checkNow()
    console.log([...seen].filter(([, { status }]) => status !== 'up').map(([name]) => name).join())
  `
  const args = ['--import', 'tsx', '--conditions=@evenkeel/source', '--input-type=module', '--eval', code]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: packageFolder, timeout: 15_000 })
  expect(stdout.trim()).toBe('gateway')
  expect(stderr).toBe('')
})
