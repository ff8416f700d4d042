import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import { Alerts } from './alerts.js'
import type { SendReport } from './channels/channel.js'
import { DeliveryError } from './errors.js'

/** When the messages of two alerts, ten seconds apart, were sent to a channel that answers the first one so, ms. */
async function sentAfter(answer: () => SendReport): Promise<number[]> {
  const clock = new FakeClock()
  const sentMs: number[] = []
  const send = async (): Promise<SendReport> => {
    sentMs.push(clock.monotonic())
    return sentMs.length === 1 ? answer() : {}
  }
  const alerts = new Alerts({ channels: { ops: { send } }, path: false, clock, random: () => 0.5 })
  await alerts.start()
  alerts.fire({ name: 'database down', severity: 'CRITICAL', message: 'refused' })
  await clock.advance(10_000)
  alerts.fire({ name: 'gateway down', severity: 'CRITICAL', message: 'closed' })
  await clock.advance(120_000)
  const stopped = alerts.stop()
  await clock.advance(1_000)
  await stopped
  return sentMs
}

it('a channel that took a message and asks for a pause is left alone for so long', async () => {
  const [firstMs = NaN, secondMs = NaN] = await sentAfter(() => ({ waitMs: 40_000 }))
  expect(secondMs - firstMs).toBeGreaterThanOrEqual(40_000)
  const [first = NaN, second = NaN] = await sentAfter(() => ({}))
  expect(second - first).toBeLessThan(30_000)
})

it('a channel that refuses a message for so long is left alone for so long', async () => {
  const refuse = (): never => {
    throw new DeliveryError('429', { retryable: true, retryAfterMs: 40_000 })
  }
  const [firstMs = NaN, secondMs = NaN] = await sentAfter(refuse)
  expect(secondMs - firstMs).toBeGreaterThanOrEqual(40_000)
})
