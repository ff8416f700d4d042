import { describe, expect, it } from 'vitest'
import { runModule } from './test-support/run-module.js'

const channel = (send: string): string => `{ ops: { send: async ({ notices }) => { ${send} } } }`
const say = `for (const { name } of notices) console.log('told', name)`

describe('a process', () => {
  it('ends by itself while alerts are idle, a thousand of them too, without a warning', async () => {
    const end = await runModule(`
      import { Alerts } from '@evenkeel/alerts'
      for (let n = 0; n < 1_000; n++) {
        const alerts = new Alerts({ channels: ${channel(say)}, path: false })
        await alerts.start()
      }
      console.log('idle')
    `)
    expect(end).toMatchObject({ code: 0, lines: ['idle'], errors: '' })
  })

  it('that ends while a critical alert is pending tells of it first, and not of a lesser one', async () => {
    const end = await runModule(`
      import { Alerts } from '@evenkeel/alerts'
      const alerts = new Alerts({ channels: ${channel(say)}, path: false, groupWaitMs: 300 })
      await alerts.start()
      alerts.fire({ name: 'lesser', severity: 'WARNING', message: 'm', labels: { a: 1 } })
      await alerts.stop()
      await alerts.start()
      alerts.fire({ name: 'critical', severity: 'CRITICAL', message: 'm' })
    `)
    expect(end.code).toBe(0)
    expect(end.lines).toContain('told critical')
  })

  it('is not held for longer than drainTimeoutMs by a channel that hangs', async () => {
    const end = await runModule(`
      import { Alerts } from '@evenkeel/alerts'
      const alerts = new Alerts({ channels: { ops: { send: () => new Promise(() => {}) } }, path: false, groupWaitMs: 0, drainTimeoutMs: 200 })
      await alerts.start()
      const beganMs = performance.now()
      process.on('exit', () => console.log(performance.now() - beganMs < 1_500))
      alerts.fire({ name: 'critical', severity: 'CRITICAL', message: 'm' })
    `)
    expect(end).toMatchObject({ code: 0, lines: ['true'] })
  })

  it('that gets SIGTERM tells of what is pending, in order, within its deadline', async () => {
    const end = await runModule(
      `
      import { Alerts } from '@evenkeel/alerts'
      const alerts = new Alerts({ channels: ${channel(say)}, path: false, groupWaitMs: 60_000 })
      const parts = [alerts]
      for (const part of parts) await part.start()
      const held = setInterval(() => {}, 1_000)
      process.on('SIGTERM', async () => {
        await alerts.drain()
        await alerts.stop()
        console.log('stopped')
        clearInterval(held)
      })
      alerts.fire({ name: 'pending', severity: 'WARNING', message: 'm' })
      console.log('ready')
    `,
      (line, kill) => void (line === 'ready' && kill('SIGTERM')),
    )
    expect(end).toMatchObject({ code: 0, lines: ['ready', 'told pending', 'stopped'], errors: '' })
  })
})
