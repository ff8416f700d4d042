import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SqliteStorage } from './sqlite.js'
import { outputOf, startChild } from './test-support/child.js'
import { killWriters, type KillKind } from './test-support/kills.js'
import { describeSqlite } from './test-support/sqlite-describe.js'

/** How often each storage is killed; `pnpm chaos` does it more often. */
const KILLS = Number(process.env['EVENKEEL_KILLS'] ?? 15)
const SEED = Number(process.env['EVENKEEL_SEED'] ?? Math.floor(Math.random() * 2 ** 32))

describe(`kill -9 (seed ${SEED})`, () => {
  function losesNothing(kind: KillKind): void {
    it(
      `loses no acknowledged write: ${kind}, ${KILLS} times`,
      async () => {
        const { crashes, checked, lost, unreadable } = await killWriters(kind, SEED, KILLS)
        expect(lost).toEqual([])
        expect(unreadable).toEqual([])
        expect(crashes).toBe(KILLS)
        expect(checked).toBeGreaterThan(KILLS)
      },
      KILLS * 10_000,
    )
  }

  losesNothing('file')
  describeSqlite('over SQLite', () => {
    losesNothing('sqlite')
    losesNothing('failover')
  })
})

describeSqlite('two processes on one SQLite database', () => {
  it('lose no update of 200 each', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'evenkeel-two-'))
    const path = join(directory, 'shared.db')
    const children = [startChild('update-child.ts', path, '200'), startChild('update-child.ts', path, '200')]
    const outputs = await Promise.all(children.map(outputOf))
    expect(outputs.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ])
    const storage = new SqliteStorage({ path })
    expect(await storage.collection('numbers').get('n')).toBe(400)
    await storage.stop()
    await rm(directory, { recursive: true })
  })
})
