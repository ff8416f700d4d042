import { describe, expect, it } from 'vitest'
import { cutFailoverStorages } from './test-support/power-cut-failover.js'
import { cutFileStores } from './test-support/power-cut-file.js'
import type { CrashReport } from './test-support/power-cut-report.js'
import { cutSqliteStorages } from './test-support/power-cut-sqlite.js'
import { describeSqlite } from './test-support/sqlite-describe.js'

/** How often each kind of storage loses its power; `pnpm chaos` does it more often. */
const CUTS = 200
const SEED = Number(process.env['EVENKEEL_SEED'] ?? Math.floor(Math.random() * 2 ** 32))

function expectNothingLost({ crashes, checked, lost, unreadable }: CrashReport): void {
  expect(lost).toEqual([])
  expect(unreadable).toEqual([])
  expect(crashes).toBe(CUTS)
  expect(checked).toBeGreaterThan(CUTS / 2)
}

describe(`a power cut (seed ${SEED})`, () => {
  it('costs a file store no acknowledged write, and leaves it readable', async () => {
    expectNothingLost(await cutFileStores(SEED, CUTS))
  }, 60_000)

  it('costs a fail-over storage no acknowledged write, in and out of outages', async () => {
    expectNothingLost(await cutFailoverStorages(SEED, CUTS))
  }, 60_000)

  describeSqlite('over SQLite', () => {
    it('costs a database no acknowledged write, and leaves it whole', async () => {
      expectNothingLost(await cutSqliteStorages(SEED, CUTS))
    }, 60_000)
  })
})
