import { spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { once } from 'node:events'
import { MemoryStorage } from '@evenkeel/storage-adapter'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { validateMigration, type ValidationOptions } from '../rehearsal.js'
import { bundleChild } from '../test-support/bundle-child.js'
import { folderPrefix, leftoversIn } from './leftovers.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-leftovers-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A folder as a process of this number leaves it. */
async function leave(pid: number, began = '0'): Promise<string> {
  const prefix = (await folderPrefix()).replace(/-\d+-\d+-$/, `-${pid}-${began}-`)
  const path = join(folder, `${prefix}abcdef`)
  mkdirSync(join(path, 'copy_1'), { recursive: true })
  writeFileSync(join(path, 'copy_1', 'bot.db'), 'secrets')
  return path
}

/** The number of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['--eval', '0']).pid
}

describe('folders that are left', () => {
  it('are those of dead processes', async () => {
    const [dead, own] = [await leave(deadPid()), await leave(process.pid)]
    mkdirSync(join(folder, 'evenkeel-rehearsal-of-somebody'))
    expect(await leftoversIn(folder)).toEqual([dead])
    expect(existsSync(own)).toBe(true)
  })

  it('are not those of a process that runs', async () => {
    const child = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'])
    await once(child, 'spawn')
    const path = await leave(child.pid!)
    expect(await leftoversIn(folder)).toEqual([])
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await leftoversIn(folder)).toEqual([path])
  })

  it.runIf(process.platform === 'linux')(
    'are those of an earlier process that had the number of this one',
    async () => {
      const path = await leave(process.pid, '1')
      expect(await leftoversIn(folder)).toEqual([path])
    },
  )

  it.runIf(process.getuid?.() === 0)('are not those of another user', async () => {
    const path = await leave(deadPid())
    chownSync(path, 12_345, 12_345)
    expect(await leftoversIn(folder)).toEqual([])
  })

  it('are not those of another machine, and no links', async () => {
    const pid = deadPid()
    mkdirSync(join(folder, `evenkeel-rehearsal-00000000-${pid}-0-abcdef`))
    const elsewhere = mkdtempSync(join(folder, 'elsewhere-'))
    symlinkSync(elsewhere, join(folder, `${(await folderPrefix()).replace(/-\d+-\d+-$/, `-${pid}-0-`)}abcdef`))
    expect(await leftoversIn(folder)).toEqual([])
  })
})

/** As in a container beside this one, with its own numbers of processes. */
const apart = ['--pid', '--fork', process.execPath] as const

describe.runIf(spawnSync('unshare', [...apart, '--eval', '0']).status === 0)('folders of a neighbour', () => {
  it('that has the name of this machine, and numbers of processes of its own, are let be', async () => {
    using program = bundleChild('leftovers-child.ts')
    const prefix = spawnSync('unshare', [...apart, program.file], { encoding: 'utf8' }).stdout
    expect(prefix).toMatch(/^evenkeel-rehearsal-[\da-f]{8}-\d+-\d+-$/)
    // It may live, but nobody of that number is to be found here.
    mkdirSync(join(folder, `${prefix.replace(/-\d+-\d+-$/, `-${deadPid()}-0-`)}abcdef`))
    expect(await leftoversIn(folder)).toEqual([])
  })
})

describe('a validation', () => {
  const options = (): ValidationOptions<MemoryStorage> => ({
    source: new MemoryStorage(),
    allowEmpty: true,
    copy: () => new MemoryStorage(),
    folder,
    migration: () => ({ async up() {}, async down() {} }),
  })

  it('removes first what one that was killed has left', async () => {
    const left = await leave(deadPid())
    const report = await validateMigration(options())
    expect([report.leftovers, readdirSync(folder)]).toEqual([[left], []])
  })

  it('removes what a copy has elsewhere, once each, also of one that was killed', async () => {
    const left = await leave(deadPid())
    const schemas = new Set(['copy_1'])
    const removed: string[] = []
    const report = await validateMigration({
      ...options(),
      copy: (at) => {
        schemas.add(basename(at))
        return new MemoryStorage()
      },
      remove: (at) => {
        removed.push(basename(at))
        schemas.delete(basename(at))
      },
    })
    expect([report.outcome, report.leftovers, [...schemas]]).toEqual(['PASSED', [left], []])
    expect(new Set(removed).size).toBe(removed.length)
    expect(removed.every((name) => /^copy_\w+$/.test(name))).toBe(true)
  })

  it('keeps the folder of what could not be removed elsewhere, so that a later run can find it', async () => {
    const left = await leave(deadPid())
    const remove = (): never => {
      throw new Error('the database is away')
    }
    const report = await validateMigration({ ...options(), remove })
    expect(report.outcome).toBe('FAILED')
    expect(report.leftBehind[0]).toContain('of a killed process could not be removed: the database is away')
    expect(report.leftovers).toEqual([])
    expect(existsSync(left)).toBe(true)
    expect(readdirSync(folder)).toHaveLength(2)
  })

  it('waits for all that cannot be removed at once, not for one after the other', async () => {
    let isCleaning = false
    const waiting = new Set<() => void>()
    let most = 0
    const report = await validateMigration({
      ...options(),
      // Until the clean-up, the database is away; then it is slow, and answers all that it was asked at once.
      remove: async () => {
        if (!isCleaning) throw new Error('the database is away')
        await new Promise<void>((resolve) => {
          waiting.add(resolve)
          setImmediate(() => {
            most = Math.max(most, waiting.size)
            for (const answer of waiting) answer()
            waiting.clear()
          })
        })
      },
      onProgress: ({ step }) => void (isCleaning ||= step === 'clean-up'),
    })
    expect(most).toBeGreaterThan(3)
    expect(report.leftBehind.length).toBeGreaterThan(3)
    expect(readdirSync(folder)).toEqual([])
  })

  it('refuses to remove anything without a folder of its own', async () => {
    const { folder: _, ...rest } = options()
    await expect(validateMigration({ ...rest, remove: () => {} })).rejects.toThrow('remove needs a folder')
  })
})
