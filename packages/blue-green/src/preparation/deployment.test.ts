import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStorage, MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BlueGreen, type BlueGreenOptions } from '../index.js'
import { diskSpaceCheck, environmentCheck, fileArchive, pathsCheck, restoreBackup } from '../preparation.js'
import { storageBackup, storageCheck } from '../preparation.js'
import { TestBot } from '../test-support/test-bot.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-prepared-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const versions = { v1: () => 'v1', v2: () => 'v2' }
type Options = Partial<BlueGreenOptions<typeof versions, string>>

/** A bot that keeps the state of its deployments beside its data. */
async function botOn(storage: Storage, options: Options): Promise<BlueGreen<typeof versions, string>> {
  const blueGreen = new BlueGreen<typeof versions, string>({
    versions,
    initial: 'v1',
    context: (guildId) => ({ eventId: null, guildId }),
    store: storage.collection('evenkeel'),
    ...options,
  })
  await blueGreen.start()
  return blueGreen
}

async function reminders(storage: Pick<Storage, 'collection'>): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const { key, value } of storage.collection('reminders').scan()) rows.push([key, value])
  return rows
}

async function withReminders<S extends Storage>(storage: S): Promise<S> {
  for (let i = 0; i < 50; i++) await storage.collection<string>('reminders').set(`r${i}`, `at ${i} o'clock`)
  return storage
}

describe('a deployment', () => {
  it('ends as FAILED when a check fails: nothing was backed up, migrated or shifted, and no secret is told', async () => {
    const storage = new SqliteStorage({ path: join(folder, 'bot.db') })
    const done: string[] = []
    const blueGreen = await botOn(storage, {
      checks: {
        storage: storageCheck(storage.collection<string>('evenkeel')),
        paths: pathsCheck({ write: [folder] }),
        disk: diskSpaceCheck(folder, { minFreeBytes: 1 }),
        environment: environmentCheck({ TOKEN: /^\w{50,}$/, GONE: true }, { TOKEN: 'hunter2' }),
      },
      backup: async () => ({ id: String(done.push('backup')) }),
      migrations: { upper: { up: async () => void done.push('up') } },
    })
    const deployment = await blueGreen.deploy('v2', { migration: 'upper' })
    expect(await deployment.finished).toEqual({
      outcome: 'FAILED',
      why: 'a check failed: environment: TOKEN does not look as it should; GONE is missing',
    })
    expect(done).toEqual([])
    expect(await blueGreen.handle('g')).toBe('v1')
    const passed = deployment.status.results.map(({ name, isPassed }) => [name, isPassed])
    expect(passed).toEqual([
      ['storage', true],
      ['paths', true],
      ['disk', true],
      ['environment', false],
    ])
    expect(JSON.stringify(deployment.report())).not.toContain('hunter2')
    await blueGreen.stop()
    await storage.stop()
  })

  it('ends as FAILED when a check hangs', async () => {
    const hang = (): Promise<never> => new Promise(() => undefined)
    const bot = new TestBot(undefined, { checks: { storage: storageCheck({ set: hang, get: hang, delete: hang }) } })
    const deploying = bot.blueGreen.deploy('v2')
    await bot.clock.advance(10_000)
    expect(await (await deploying).finished).toEqual({
      outcome: 'FAILED',
      why: 'a check failed: storage: it took longer than 10000 ms',
    })
  })

  it('ends as FAILED when the backup cannot be restored, and its migration does not run', async () => {
    const storage = await withReminders(new SqliteStorage({ path: join(folder, 'bot.db') }))
    const archive = fileArchive(join(folder, 'backups'))
    const done: string[] = []
    const torn: typeof archive = {
      async write(name, rows, signal) {
        const kept = await archive.write(name, rows, signal)
        writeFileSync(join(folder, 'backups', `${name}.jsonl`), '{"evenkeelBackup":1}\n')
        return kept
      },
      read: (name, signal) => archive.read(name, signal),
    }
    const blueGreen = await botOn(storage, {
      backup: storageBackup({ source: storage, archive: torn, scratch: () => new MemoryStorage() }),
      migrations: { upper: { up: async () => void done.push('up') } },
    })
    const { outcome, why } = await (await blueGreen.deploy('v2', { migration: 'upper' })).finished
    expect(outcome).toBe('FAILED')
    expect(why).toMatch(/^the backup failed: The backup "[\w.-]+" is damaged: its end is missing/)
    expect(done).toEqual([])
    await blueGreen.stop()
    await storage.stop()
  })

  it.each([
    ['SQLite', () => new SqliteStorage({ path: join(folder, 'bot.db') })],
    ['a file storage', () => new FileStorage({ path: join(folder, 'bot') })],
  ])('on %s that is rolled back has its data from before the migration again', async (_, make) => {
    const storage = await withReminders<Storage>(make())
    const before = await reminders(storage)
    const archive = fileArchive(join(folder, 'backups'))
    const blueGreen: BlueGreen<typeof versions, string> = await botOn(storage, {
      backup: storageBackup({
        source: storage,
        archive,
        scratch: () => new SqliteStorage({ path: join(mkdtempSync(join(folder, 'scratch-')), 'copy.db') }),
        leaveOut: ['evenkeel'],
      }),
      migrations: {
        // Nothing that could be computed back: only the backup knows.
        shorten: {
          async up() {
            for (let i = 0; i < 50; i++) await storage.collection('reminders').set(`r${i}`, { text: '…' })
            await storage.collection('index').set('by-hour', 1)
          },
          async down({ signal }) {
            const saved = new MemoryStorage()
            await restoreBackup({ archive, id: blueGreen.status.deployment!.backup!.id, into: saved, signal })
            await storage.collection('index').clear()
            for await (const { key, value } of saved.collection('reminders').scan()) {
              await storage.collection('reminders').set(key, value)
            }
            await saved.stop()
          },
        },
      },
    })
    const deployment = await blueGreen.deploy('v2', { migration: 'shorten', percentages: [100], stepMs: 3_600_000 })
    for await (const { percentage } of deployment.watch()) if (percentage === 100) break
    const made = deployment.status.backup!
    expect(readdirSync(join(folder, 'backups'))).toEqual([`${made.id}.jsonl`])
    expect(await reminders(storage)).not.toEqual(before)
    expect(await blueGreen.handle('g')).toBe('v2')

    await deployment.rollback({ why: 'it answers nonsense' })
    expect((await deployment.finished).outcome).toBe('ROLLED_BACK')
    expect(await blueGreen.handle('g')).toBe('v1')
    expect(await reminders(storage)).toEqual(before)
    expect((await storage.collections()).sort()).toEqual(['evenkeel', 'reminders'])

    // And the same into a new store, as after the loss of a disk: no deployment runs there.
    const other = new SqliteStorage({ path: join(folder, 'new.db') })
    expect(await restoreBackup({ archive, id: made.id, into: other })).toBe(50)
    expect(await reminders(other)).toEqual(before)
    const again = await botOn(other, {})
    expect(again.status.deployment).toBeUndefined()
    await Promise.all([blueGreen.stop(), again.stop()])
    await Promise.all([storage.stop(), other.stop()])
  })
})
