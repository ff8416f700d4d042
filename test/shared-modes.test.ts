import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DegradationManager, type Clock } from '@evenkeel/degradation-manager'
import { FeatureFlags } from '@evenkeel/feature-flags'
import { MemoryStorage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'

// Packages meet by shape: here modes meet the real storages and the real flags.

const shard = (store: ConstructorParameters<typeof DegradationManager>[0]['store'], clock?: Clock) =>
  new DegradationManager({ features: { remind: {} }, store, scope: 'process', clock })

it('a mode set by hand is followed through a collection in memory, by its watch', async () => {
  const clock = new FakeClock()
  const storage = new MemoryStorage({ clock })
  const [one, other] = [shard(storage.collection('state'), clock), shard(storage.collection('state'), clock)]
  await Promise.all([one.start(), other.start()])
  await one.setMode('DEGRADED', { why: 'a test', forMs: 60_000 })
  await clock.advance(1_000)
  expect(other.mode).toBe('DEGRADED')
  await clock.advance(59_000)
  expect([one.mode, other.mode]).toEqual(['FULL', 'FULL'])
  await Promise.all([one.stop(), other.stop()])
  await storage.stop()
})

it('it survives the process in SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'modes-'))
  const path = join(folder, 'bot.db')
  const before = new SqliteStorage({ path })
  await shard(before.collection('state')).setMode('MAINTENANCE', { why: 'moving hosts', by: 'ada' })
  await before.stop()
  const after = new SqliteStorage({ path })
  const modes = shard(after.collection('state'))
  await modes.start()
  expect(modes.override).toMatchObject({ mode: 'MAINTENANCE', why: 'moving hosts', by: 'ada' })
  await modes.stop()
  await after.stop()
  rmSync(folder, { recursive: true })
})

it('a rule follows a real flag at once', async () => {
  const flags = new FeatureFlags({ flags: { slimMode: { default: true } } })
  const modes = new DegradationManager({ flags, features: {}, rules: [{ flag: 'slimMode', mode: 'DEGRADED' }] })
  await flags.start()
  await flags.disable('slimMode', { why: 'a usual day' })
  await modes.start()
  expect(modes.mode).toBe('FULL')
  await flags.enable('slimMode', { why: 'a busy day' })
  expect(modes.mode).toBe('DEGRADED')
  await modes.stop()
  await flags.stop()
})
