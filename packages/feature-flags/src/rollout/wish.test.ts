import { describe, expect, it } from 'vitest'
import { World } from '../test-support/rollout-bot.js'
import type { RolloutRecord } from './rollout-record.js'
import type { PlanInForce } from './transitions.js'
import { wishFor } from './wish.js'

const start = { isRetry: false }

async function running(): Promise<RolloutRecord> {
  const world = new World()
  const { rollout, store } = world.process({ version: 'v2' })
  await rollout.start()
  await rollout.stop()
  return store.record as RolloutRecord
}

describe('what a process wants of a rollout that nobody drives', () => {
  it('leaves that of another version alone unless it was started for its own', async () => {
    const record = await running()
    const { fingerprint } = record.run
    const older: PlanInForce = { fingerprint: 'older', version: 'v1', phases: [] }
    expect(wishFor(record, older, undefined)).toBeUndefined()
    expect(wishFor(record, older, start)).toEqual({ type: 'BEGIN' })
    // Somebody has to look after it, and whoever has the same plan can.
    expect(wishFor(record, { ...older, fingerprint }, undefined)).toBe('TAKE')
  })

  it('edits the plan only when it was started for that', async () => {
    const record = await running()
    const edited: PlanInForce = { fingerprint: 'edited', version: 'v2', phases: [] }
    expect(wishFor(record, edited, undefined)).toBeUndefined()
    expect(wishFor(record, edited, start)).toEqual({ type: 'EDIT' })
  })
})
