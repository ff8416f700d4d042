import { existsSync, linkSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStorage, MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Migration } from '../probes.js'
import { systemClock } from '../system-clock.js'
import {
  exitCodeOf,
  NotIsolatedError,
  type Progress,
  validateMigration,
  type ValidationOptions,
  type ValidationReport,
  validationMarkdown,
  type WritableStorage,
} from '../rehearsal.js'

interface Guild {
  readonly name: string
  readonly zone?: string
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-validate-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function fill<S extends Storage>(storage: S, count = 6): Promise<S> {
  const guilds = storage.collection<Guild>('guilds')
  for (let i = 0; i < count; i++) await guilds.set(`g${i}`, { name: `Guild ${i}` })
  await storage.collection('settings').set('__proto__', { locale: 'de' })
  return storage
}

/** Each guild gets a zone; idempotent, and undone exactly. */
function addZone(storage: Storage): Migration {
  const guilds = storage.collection<Guild>('guilds')
  return {
    async up() {
      for await (const { key } of guilds.scan()) await guilds.update(key, (guild) => ({ zone: 'UTC', ...guild }))
    },
    async down() {
      for await (const { key } of guilds.scan()) await guilds.update(key, ({ name }) => ({ name }))
    },
  }
}

async function validated(
  migration: (storage: Storage) => Migration | Promise<Migration>,
  options: Partial<ValidationOptions<Storage>> = {},
): Promise<ValidationReport> {
  const source = await fill(new MemoryStorage())
  return validateMigration({ source, copy: () => new MemoryStorage(), migration, runs: 2, ...options })
}

/** What a step found, or the outcome of it. */
function step(report: ValidationReport, name: string): string {
  const { outcome, why } = report.steps.find((each) => each.name === name) ?? { outcome: 'none', why: '' }
  return `${outcome}: ${why}`
}

describe('validateMigration', () => {
  it.each([
    ['SQLite', (at: string) => new SqliteStorage({ path: join(at, 'bot.db') })],
    ['file', (at: string) => new FileStorage({ path: join(at, 'bot') })],
  ])('proves a good migration on a %s storage, and leaves the source and the disk as they were', async (_, make) => {
    const source = await fill(make(folder))
    const before = JSON.stringify([...(await source.collection('guilds').getMany(['g0', 'g5']))])
    const copies = mkdtempSync(join(folder, 'copies-'))
    const report = await validateMigration<Storage>({
      source,
      sourcePath: join(
        folder,
        readdirSync(folder).find((name) => name.startsWith('bot'))!,
      ),
      copy: make,
      folder: copies,
      migration: addZone,
    })
    expect(report.steps.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['copy', 'passed'],
      ['loads', 'passed'],
      ['dry run of up', 'passed'],
      ['up twice', 'passed'],
      ['rollback by down', 'passed'],
      ['down twice', 'passed'],
      ['up interrupted', 'passed'],
      ['half an up undone', 'passed'],
      ['down interrupted', 'passed'],
      ['clean-up', 'passed'],
    ])
    expect(step(report, 'up interrupted')).toBe('passed: interrupted at 7 of 7 places, and the same in the end')
    expect(report.outcome).toBe('PASSED')
    expect({ ...report.impact?.collections }).toEqual({
      guilds: { before: 6, after: 6, added: 0, changed: 6, removed: 0 },
    })
    expect(report.impact?.writes).toBe(6)
    expect(report.impact?.runsMs).toHaveLength(3)
    expect(report.extents.afterDown).toEqual(report.extents.before)
    expect(report.extents.afterUp?.hash).not.toBe(report.extents.before?.hash)
    expect(report.extents.before?.rows).toBe(7)
    expect(report.impact!.bytesAfter - report.impact!.bytesBefore).toBe(6 * ',"zone":"UTC"'.length)
    expect(JSON.stringify([...(await source.collection('guilds').getMany(['g0', 'g5']))])).toBe(before)
    expect([await source.collections(), readdirSync(copies), report.leftBehind]).toEqual([
      ['guilds', 'settings'],
      [],
      [],
    ])
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({ outcome: 'PASSED' })
    await source.stop()
  })

  it('finds a down that does not bring back what was there, and names the rows', async () => {
    const report = await validated((storage) => {
      const guilds = storage.collection<Guild>('guilds')
      return {
        async up() {
          await guilds.update('g1', (guild) => ({ ...guild, name: guild.name.toUpperCase() }))
          await storage.collection('zones').set('g1', 'UTC')
        },
        async down() {
          await guilds.update('g1', (guild) => ({ ...guild, name: guild.name.toLowerCase() }))
        },
      }
    })
    expect(step(report, 'rollback by down')).toBe('failed: 2 rows differ: guilds/g1 changed, zones/g1 added')
    expect(report.differences['rollback by down']).toEqual([
      { collection: 'guilds', key: 'g1', what: 'changed' },
      { collection: 'zones', key: 'g1', what: 'added' },
    ])
    expect([report.outcome, exitCodeOf(report)]).toEqual(['FAILED', 1])
    expect(validationMarkdown(report)).toContain('- guilds/g1: changed')
  })

  it('finds an up that is not idempotent', async () => {
    const report = await validated((storage) => ({
      async up() {
        await storage.collection<Guild>('guilds').update('g1', (guild) => ({ name: `${guild.name}!` }))
      },
    }))
    expect(step(report, 'up twice')).toBe('failed: 1 row differs: guilds/g1 changed')
    expect(step(report, 'rollback by down')).toBe('skipped: it has no down: a rollback leaves what it did')
  })

  it('finds an up that does another thing each time', async () => {
    let count = 0
    const report = await validated((storage) => ({
      async up() {
        await storage.collection('log').set('run', count++)
      },
    }))
    expect(step(report, 'dry run of up')).toMatch(
      /^failed: up gives another result each time \(1 row differs: log\/run/,
    )
  })

  it('finds what an interruption breaks, and after which write', async () => {
    // Whole when undisturbed, and done twice without harm; but a marker is written before the work is done.
    const report = await validated((storage) => {
      const [marks, guilds] = [storage.collection('marks'), storage.collection<Guild>('guilds')]
      return {
        async up() {
          if (await marks.has('done')) return
          await marks.set('done', true)
          await addZone(storage).up(undefined as never)
        },
        async down() {
          if (!(await marks.has('done'))) return
          for await (const { key } of guilds.scan()) await guilds.update(key, ({ name }) => ({ name }))
          await marks.delete('done')
        },
      }
    })
    expect(step(report, 'up twice')).toMatch(/^passed/)
    expect(step(report, 'rollback by down')).toMatch(/^passed/)
    expect(step(report, 'up interrupted')).toMatch(
      /^failed: interrupted after 1 of 7 writes: 6 rows differ: guilds\/g0/,
    )
    expect(step(report, 'half an up undone')).toMatch(/^passed/)
    expect(step(report, 'down interrupted')).toMatch(/^passed/)
  })

  it('finds a down that cannot undo half of an up, and one that cannot be interrupted', async () => {
    const report = await validated((storage) => {
      const marks = storage.collection('marks')
      return {
        async up() {
          await addZone(storage).up(undefined as never)
          await marks.set('done', true)
        },
        async down() {
          if (!(await marks.has('done'))) return
          await marks.delete('done')
          await addZone(storage).down?.(undefined as never)
        },
      }
    })
    expect(step(report, 'rollback by down')).toMatch(/^passed/)
    expect(step(report, 'half an up undone')).toMatch(
      /^failed: interrupted after 1 of 7 writes: 1 row differs: guilds\/g0/,
    )
    expect(step(report, 'down interrupted')).toMatch(/^failed: interrupted after 1 of 7 writes: 6 rows differ/)
  })

  it('finds an up that says that all is well while its writes are rejected', async () => {
    const report = await validated((storage) => ({
      async up() {
        await storage
          .collection('zones')
          .set('all', 'UTC')
          .catch(() => undefined)
      },
    }))
    expect(step(report, 'up interrupted')).toContain(
      'up resolved all the same; it must not swallow what a write rejects',
    )
  })

  it('finds what an interruption breaks also where writes are made side by side', async () => {
    const report = await validated((storage) => {
      const [marks, guilds] = [storage.collection('marks'), storage.collection<Guild>('guilds')]
      return {
        async up() {
          if (await marks.has('done')) return
          const keys = ['g0', 'g1', 'g2', 'g3', 'g4', 'g5']
          const updates = keys.map((key) => () => guilds.update(key, (guild) => ({ ...guild, zone: 'UTC' })))
          await Promise.all([() => marks.set('done', true), ...updates].map((write) => write()))
        },
      }
    })
    expect(step(report, 'up twice')).toMatch(/^passed/)
    expect(step(report, 'up interrupted')).toMatch(/^failed: interrupted after 1 of 7 writes: 6 rows differ/)
  })

  it('interrupts also after writes that were refused', async () => {
    const report = await validated((storage) => {
      const [marks, guilds] = [storage.collection('marks'), storage.collection<Guild>('guilds')]
      return {
        async up() {
          const refused = { name: 'ConflictError' }
          for (let i = 0; i < 3; i++) {
            await guilds.set('g0', { name: 'new' }, { ifAbsent: true }).catch((error: unknown) => {
              expect(Object(error)).toMatchObject(refused)
            })
          }
          if (await marks.has('done')) return
          await marks.set('done', true)
          await guilds.update('g1', (guild) => ({ ...guild, zone: 'UTC' }))
        },
      }
    })
    expect(step(report, 'up interrupted')).toMatch(
      /^failed: interrupted after 4 of 5 writes: 1 row differs: guilds\/g1/,
    )
  })

  it('says that nothing was interrupted where nothing was', async () => {
    const report = await validated(addZone, { maxCrashes: 0 })
    expect(step(report, 'up interrupted')).toBe('skipped: maxCrashes is 0')
    expect(step(report, 'half an up undone')).toBe('skipped: maxCrashes is 0')
    expect(step(report, 'down interrupted')).toBe('skipped: maxCrashes is 0')
    expect(report.outcome).toBe('PASSED')
  })

  it('says that rows were left out, where it fails for want of them', async () => {
    const report = await validated(
      (storage) => ({
        async up() {
          if (!(await storage.collection('guilds').has('g5'))) throw new Error('no g5')
        },
      }),
      { maxCrashRows: 3 },
    )
    expect(step(report, 'up interrupted')).toBe(
      'failed: on the first 3 rows of each collection, which may be too few (raise maxCrashRows): no g5',
    )
  })

  it('does not pass on a sample without a row', async () => {
    const report = await validated(addZone, { sample: { ratio: 0.5, by: () => 'x' } })
    const other = await validated(addZone, { sample: { ratio: 0.5, by: () => 'a' } })
    const copied = [report, other].map((each) => step(each, 'copy')).sort()
    expect(copied).toEqual(['failed: none of 7 rows was drawn; raise sample.ratio', 'passed: 7 of 7 rows'])
  })

  it('does not pass on a source without a row, unless it may be empty', async () => {
    const source = new MemoryStorage()
    const report = await validated(addZone, { source })
    expect(step(report, 'copy')).toMatch(/^failed: the source holds no row, .*its path, .*allowEmpty: true/)
    expect(report.outcome).toBe('FAILED')
    const allowed = await validated(addZone, { source, allowEmpty: true })
    expect([step(allowed, 'copy'), allowed.outcome]).toEqual(['passed: 0 rows', 'PASSED'])
  })

  it('finds that a copy is not what was read', async () => {
    const copy = (): MemoryStorage => {
      const storage = new MemoryStorage()
      const batch = storage.batch.bind(storage)
      storage.batch = (operations) => batch(operations.slice(1))
      return storage
    }
    const report = await validated(addZone, { copy })
    expect(step(report, 'copy')).toBe('failed: the copy is not what was read: 1 row differs: guilds/g0 removed')
    expect(report.outcome).toBe('FAILED')
  })

  it('holds no more copies on the disk than it works on', async () => {
    let most = 0
    const copy = (at: string): MemoryStorage => {
      most = Math.max(most, readdirSync(join(at, '..')).filter((name) => name.startsWith('copy-')).length)
      return new MemoryStorage()
    }
    expect((await validated(addZone, { copy, folder, runs: 3 })).outcome).toBe('PASSED')
    expect(most).toBeLessThanOrEqual(3)
  })

  it('waits for no copy that never answers, and can still be cancelled then', async () => {
    let release = (): void => {}
    const gate = new Promise<string[]>((resolve) => (release = () => resolve([])))
    const clock = new FakeClock()
    const copy = (): MemoryStorage => {
      const storage = new MemoryStorage()
      storage.collections = () => {
        void clock.advance(50)
        return gate
      }
      return storage
    }
    const onProgress = ({ step }: Progress): void => void (step === 'clean-up' && release())
    const report = await validated(addZone, { copy, clock, timeoutMs: 50, onProgress })
    expect(step(report, 'copy')).toBe('failed: it took longer than 50 ms')
  })

  it('does not pass when something is left behind', async () => {
    const copy = (): MemoryStorage => {
      const storage = new MemoryStorage()
      storage.stop = () => Promise.reject(new Error('the file is busy'))
      return storage
    }
    const report = await validated(addZone, { copy, maxCrashes: 0 })
    expect(report.leftBehind).toContain('a copy could not be stopped: the file is busy')
    expect(step(report, 'clean-up')).toMatch(/^failed: a copy could not be stopped: the file is busy/)
    expect([report.outcome, exitCodeOf(report)]).toEqual(['FAILED', 1])
  })

  it('stays failed when it is cancelled after something failed', async () => {
    const stop = new AbortController()
    const report = await validated(() => ({ up: () => Promise.reject(new Error('no')) }), {
      signal: stop.signal,
      onProgress: ({ step: name }) => void (name === 'clean-up' && stop.abort()),
    })
    expect(report.outcome).toBe('FAILED')
  })

  it('passed when it is cancelled after the last step', async () => {
    const stop = new AbortController()
    const onProgress = ({ step: name }: Progress): void => void (name === 'clean-up' && stop.abort())
    expect((await validated(addZone, { signal: stop.signal, onProgress })).outcome).toBe('PASSED')
  })

  it('lets nothing of a killed process through, also no question for the collections', async () => {
    let asked: unknown
    await validated(
      (storage) => ({
        async up() {
          await storage.collection('zones').set('a', 1)
          await storage
            .collection('zones')
            .set('b', 1)
            .catch(async (error: unknown) => {
              asked = await storage.collections().catch((refused: Error) => refused.message)
              throw error
            })
        },
      }),
      { maxCrashes: 3 },
    )
    expect(asked).toBe('killed after 1 writes')
  })

  it('counts a batch as one write', async () => {
    const report = await validated((storage) => ({
      async up() {
        await storage.batch([
          { type: 'set', collection: 'zones', key: 'a', value: 1 },
          { type: 'set', collection: 'zones', key: 'b', value: 2 },
        ])
      },
    }))
    expect([report.impact?.writes, step(report, 'up interrupted')]).toEqual([
      1,
      'passed: interrupted at 2 of 2 places, and the same in the end',
    ])
  })

  it('interrupts no more often than it may, at places spread over all, with no more rows than it may', async () => {
    const source = await fill(new MemoryStorage(), 40)
    const options = { source, copy: () => new MemoryStorage(), migration: addZone, runs: 1 }
    const report = await validateMigration<Storage>({ ...options, maxCrashes: 4, maxCrashRows: 30 })
    expect(step(report, 'up interrupted')).toBe('passed: interrupted at 4 of 31 places, and the same in the end')
  })

  it.each([
    [{}, 'migration.up must be a function, not a undefined'],
    [{ up: () => {}, down: 1 }, 'migration.down must be a function, not a number'],
    [{ up: () => {}, down: () => {}, irreversible: true }, 'migration has a down and is irreversible'],
    [null, 'migration.up must be a function'],
  ])('does not run %j', async (migration, why) => {
    const report = await validated(() => migration as never)
    expect(step(report, 'loads')).toContain(`failed: ${why}`)
    expect(report.steps.filter(({ outcome }) => outcome === 'skipped')).toHaveLength(7)
  })

  it('tells what an up throws, and what it cannot load', async () => {
    const failing = await validated(() => ({ up: () => Promise.reject(new Error('no such guild')) }))
    expect(step(failing, 'dry run of up')).toBe('failed: no such guild')
    const missing = await validated(
      async () => ((await import(join(folder, 'none.js'))) as { default: Migration }).default,
    )
    expect(step(missing, 'loads')).toMatch(/^failed: .*none/)
  })

  it('tells of an error of syntax, and runs nothing of it', async () => {
    const file = join(folder, 'broken.mjs')
    writeFileSync(file, 'export const up = (\n')
    const broken = await validated(async () => (await import(file)) as Migration)
    expect(step(broken, 'loads')).toMatch(/^failed: /)
    expect(broken.outcome).toBe('FAILED')
    expect(broken.steps.filter(({ outcome }) => outcome === 'skipped')).toHaveLength(7)
  })

  it('lets an irreversible migration have no rollback', async () => {
    const report = await validated((storage) => ({
      irreversible: true,
      async up() {
        await storage.collection('guilds').clear()
      },
    }))
    expect(step(report, 'rollback by down')).toBe('skipped: it is declared irreversible')
    expect([report.outcome, report.impact?.collections['guilds']?.removed]).toEqual(['PASSED', 6])
  })

  it('measures how long the event loop stands still', async () => {
    const report = await validated(
      () => ({
        async up() {
          // Others use the machine too, so it computes for as long; and two threads may compute at once, so time passes too.
          const [began, beganMs] = [process.cpuUsage(), systemClock.monotonic()]
          const cpuUs = (): number => process.cpuUsage(began).user + process.cpuUsage(began).system
          while (cpuUs() < 80_000 || systemClock.monotonic() - beganMs < 80);
        },
      }),
      { maxCrashes: 1 },
    )
    expect(report.impact!.cost.maxPauseMs).toBeGreaterThanOrEqual(70)
    expect(report.impact!.cost.cpuMs).toBeGreaterThanOrEqual(80)
    expect(report.impact!.cost.wallMs).toBeGreaterThanOrEqual(80)
  })

  it('ends a step at its deadline, and nothing of it arrives afterwards', async () => {
    let [release, late]: [() => void, unknown] = [() => {}, undefined]
    const clock = new FakeClock()
    const report = await validated(
      (storage) => ({
        async up({ signal }) {
          const released = new Promise<void>((resolve) => (release = resolve))
          await clock.advance(50)
          await released
          expect(signal.aborted).toBe(true)
          late = await storage
            .collection('late')
            .set('x', 1)
            .catch((error: Error) => error.message)
        },
      }),
      { timeoutMs: 50, clock },
    )
    expect(step(report, 'dry run of up')).toBe('failed: it took longer than 50 ms')
    release()
    await new Promise((resolve) => setImmediate(resolve))
    expect(late).toBe('the time of the step is up')
  })

  it('can be cancelled in the middle, and cleans up', async () => {
    const stop = new AbortController()
    const steps = new Set<string>()
    const report = await validated(addZone, {
      folder,
      signal: stop.signal,
      onProgress: ({ step, done }: Progress) => {
        steps.add(step)
        if (step === 'up interrupted' && done === 3) stop.abort()
        throw new Error('a listener that throws breaks nothing')
      },
    })
    expect([report.outcome, exitCodeOf(report), step(report, 'up interrupted')]).toEqual([
      'CANCELLED',
      2,
      'skipped: cancelled',
    ])
    expect(step(report, 'rollback by down')).toMatch(/^passed/)
    expect([...steps]).toContain('copy')
    expect(readdirSync(folder)).toEqual([])
    const early = await validated(addZone, { signal: AbortSignal.abort() })
    expect(early.outcome).toBe('CANCELLED')
    expect(early.steps.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual(['copy skipped', 'clean-up passed'])
  })

  it('gets over a listener that is async and rejects, and warns once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const posting = (): unknown => Promise.reject(new Error('the channel is gone'))
    const report = await validated(addZone, { onProgress: posting })
    expect(report.outcome).toBe('PASSED')
    const told = 'The listener onProgress failed; its next failures are not told'
    const detail = expect.stringContaining('the channel is gone') as string
    expect(warn.mock.calls).toEqual([[told, { code: 'EVENKEEL_LISTENER', detail }]])
    warn.mockRestore()
  })

  it('removes also a copy that was still being made when it was cancelled', async () => {
    const stop = new AbortController()
    let [opened, release]: [number, () => void] = [0, () => {}]
    const gate = new Promise<void>((resolve) => (release = resolve))
    const copy = (): MemoryStorage => {
      const storage = new MemoryStorage()
      if (++opened < 3) return storage
      const collections = storage.collections.bind(storage)
      storage.collections = async () => {
        stop.abort()
        // Long after nobody waits any more.
        setImmediate(() => setImmediate(release))
        await gate
        return collections()
      }
      return storage
    }
    const report = await validated(addZone, { folder, copy, signal: stop.signal })
    expect([report.outcome, report.leftBehind, readdirSync(folder)]).toEqual(['CANCELLED', [], []])
  })

  it('copies a part of the source by groups, and says how certain it is of the whole', async () => {
    const source = new MemoryStorage()
    for (let i = 0; i < 400; i++) {
      await source.collection<Guild>('guilds').set(`g${i}`, { name: `Guild ${i}` })
      await source.collection('members').set(`g${i}:1`, { guildId: `g${i}` })
    }
    const seen: string[] = []
    const report = await validateMigration<Storage>({
      source,
      copy: () => new MemoryStorage(),
      sample: { ratio: 0.25, by: ({ key }) => key.split(':')[0] },
      maxCrashes: 0,
      migration: (storage) => ({
        ...addZone(storage),
        async up(context) {
          for await (const { key } of storage.collection('members').scan()) {
            seen.push(key)
            expect(await storage.collection('guilds').has(key.split(':')[0]!)).toBe(true)
          }
          await addZone(storage).up(context)
        },
      }),
    })
    expect(report.outcome).toBe('PASSED')
    const { estimate } = report
    expect(estimate?.rows).toBe(800)
    expect(estimate!.sampleRows).toBeGreaterThan(100)
    expect(estimate!.sampleRows).toBeLessThan(300)
    expect(estimate!.changedRows.low).toBeLessThan(400)
    expect(estimate!.changedRows).toMatchObject({ likely: 400 })
    expect(estimate!.changedRows.high).toBeGreaterThan(400)
    expect(estimate!.wallMs.low).toBeLessThanOrEqual(estimate!.wallMs.likely)
    expect(estimate!.wallMs.high).toBeGreaterThan(report.impact!.runsMs.at(-1)! * (800 / estimate!.sampleRows))
    expect(validationMarkdown(report)).toContain('Estimated for 800 rows')
  })

  it.each([
    [{ sample: { ratio: 1 } }, 'sample.ratio must be above 0 and below 1, not 1'],
    [{ sample: { ratio: 0.5, size: 3 } }, 'sample has no option "size"'],
    [{ runs: 0 }, 'runs must be a whole number from 1'],
    [{ maxCrashes: -1 }, 'maxCrashes'],
    [{ maxCrashRows: 0.5 }, 'maxCrashRows'],
    [{ timeoutMs: 0 }, 'timeoutMs must be milliseconds above 0'],
    [{ copy: new MemoryStorage() }, 'copy must be a function'],
    [{ migration: {} }, 'migration must be a function'],
    [{ source: new Map() }, 'source.collection must be a function'],
    [{ sourcePath: '' }, 'sourcePath must be a path'],
    [{ onProgress: 1 }, 'onProgress must be a function'],
    [{ allowEmpty: 1 }, 'allowEmpty must be true or false'],
    [{ target: 1 }, 'no option "target"'],
  ])('refuses %j, and holds no process by it', async (options, why) => {
    const hold = vi.spyOn(globalThis, 'setInterval')
    await expect(validated(addZone, options as never)).rejects.toThrow(why)
    expect(hold).not.toHaveBeenCalled()
    hold.mockRestore()
  })
})

describe('isolation', () => {
  it('refuses the source itself, and does not stop it', async () => {
    const source = await fill(new MemoryStorage())
    let isStopped = false
    source.stop = async () => void (isStopped = true)
    await expect(validateMigration({ source, copy: () => source, migration: addZone })).rejects.toThrow(
      'it is the source itself',
    )
    expect(isStopped).toBe(false)
  })

  it.each([
    ['is in use', 1],
    ['holds nothing yet', 0],
  ])('refuses a store that %s, of which the source is a view, and does not stop it', async (_, count) => {
    const bot = new MemoryStorage()
    if (count > 0) await bot.collection('sessions').set('a', 1)
    let isStopped = false
    bot.stop = async () => void (isStopped = true)
    const source = {
      collection: (name: string) => bot.collection(name),
      collections: async () => (await bot.collections()).filter((name) => name !== 'sessions'),
    }
    await expect(validateMigration({ source, copy: () => bot, migration: addZone })).rejects.toThrow(NotIsolatedError)
    expect([isStopped, await bot.collections()]).toEqual([false, count > 0 ? ['sessions'] : []])
  })

  it('refuses a second handle of the same database, before anything is written', async () => {
    const path = join(folder, 'bot.db')
    const source = await fill(new SqliteStorage({ path }))
    const options = { source, copy: () => new SqliteStorage({ path }), migration: addZone as never }
    await expect(validateMigration(options)).rejects.toThrow(/it already holds guilds/)
    expect(await source.collections()).toEqual(['guilds', 'settings'])
    await source.stop()
  })

  it('refuses what reaches the source while that is empty, by a probe, and deletes the probe', async () => {
    const path = join(folder, 'bot.db')
    const source = new SqliteStorage({ path })
    await source.start()
    const options = { source, copy: () => new SqliteStorage({ path }), migration: addZone as never }
    const error = await validateMigration(options).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(NotIsolatedError)
    expect(error).toMatchObject({ code: 'NOT_ISOLATED', retryable: false, applied: 'no' })
    expect((error as Error).message).toContain('what is written to it is seen in the source')
    expect(await source.collections()).toEqual([])
    await source.stop()
  })

  it.each([
    ['symbolic', symlinkSync],
    ['hard', linkSync],
  ])('refuses a %s link to a file of the source, before the probe', async (_, link) => {
    const path = join(folder, 'bot.db')
    const source = new SqliteStorage({ path })
    await source.start()
    const probed = new MemoryStorage()
    const copy = (at: string): MemoryStorage => {
      link(path, join(at, 'copy.db'))
      return probed
    }
    probed.collection = () => {
      throw new Error('nothing may be written')
    }
    await expect(validateMigration({ source, sourcePath: path, copy, migration: addZone })).rejects.toThrow(
      'copy.db is a file of the source',
    )
    expect(existsSync(path)).toBe(true)
    await source.stop()
  })

  it('refuses copies inside of the folder of the source, and the same copy twice', async () => {
    const source = new MemoryStorage()
    await expect(
      validateMigration({
        source,
        sourcePath: folder,
        folder,
        copy: () => new MemoryStorage(),
        migration: addZone,
      }),
    ).rejects.toThrow('its folder lies in the source')
    const one = new MemoryStorage()
    let isStopped = false
    one.stop = async () => void (isStopped = true)
    await expect(
      validateMigration({ source: await fill(source), copy: () => one, migration: addZone }),
    ).rejects.toThrow('the same store was made twice')
    // It may be the new store of the bot.
    expect([isStopped, await one.collections()]).toEqual([false, []])
  })

  it('refuses copies that are one database, before a row is written', async () => {
    const source = await fill(new MemoryStorage())
    const path = join(folder, 'new-bot.db')
    const options = { source, copy: () => new SqliteStorage({ path }), migration: addZone as never }
    await expect(validateMigration(options)).rejects.toThrow('what is written to it is seen in another copy')
    const bot = new SqliteStorage({ path })
    expect(await bot.collections()).toEqual([])
    await bot.stop()
  })

  it('stops no copy of which another one is a view', async () => {
    const [source, bot] = [await fill(new MemoryStorage()), new MemoryStorage()]
    let isStopped = false
    const copy = (): WritableStorage => ({
      collection: (name) => bot.collection(name),
      collections: () => bot.collections(),
      batch: (operations) => bot.batch(operations),
      stop: async () => void (isStopped = true),
    })
    await expect(validateMigration({ source, copy, migration: () => ({ async up() {} }) })).rejects.toThrow(
      'in another copy',
    )
    expect([isStopped, await bot.collections()]).toEqual([false, []])
  })
})

it('writes Markdown in which names are only names', async () => {
  const source = new MemoryStorage()
  await source.collection('a|b').set('<img src=x>\n# `x`', 1)
  const report = await validateMigration<Storage>({
    source,
    copy: () => new MemoryStorage(),
    name: '[x](http://evil)',
    migration: (storage) => ({
      async up() {
        await storage.collection('a|b').clear()
      },
      async down() {},
    }),
  })
  const markdown = validationMarkdown(report)
  expect(markdown).toContain('# Migration \\[x\\](http://evil): FAILED')
  expect(markdown).toContain('| a\\|b | 1 | 0 | 0 | 0 | 1 |')
  expect(markdown).toContain('- a\\|b/\\<img src=x\\> \\# \\`x\\`: removed')
})
