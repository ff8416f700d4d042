import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Alerts } from '../alerts.js'
import type { AlertsNews } from '../events.js'
import type { AlertsOptions } from '../options.js'
import { DeliveryError } from '../errors.js'
import { fileChannel } from '../channels/file-channel.js'
import { temporaryDirectory } from '../test-support/directories.js'
import { diskIsIdle, watchDisk } from '../test-support/faulty-disk.js'
import { OpsChannel } from '../test-support/ops-channel.js'
import { decodeLines, encodeLine } from './spool-lines.js'

const cleanUps: (() => unknown)[] = []

beforeEach(() => {
  cleanUps.push(watchDisk(() => undefined))
})

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const down = { name: 'database down', severity: 'CRITICAL', message: 'refused' } as const

async function directory(): Promise<string> {
  const made = await temporaryDirectory()
  cleanUps.push(() => made[Symbol.asyncDispose]())
  return `${made.path}/spool`
}

interface Bot {
  readonly alerts: Alerts
  readonly ops: OpsChannel
  readonly clock: FakeClock
  readonly news: AlertsNews[]
}

/** Lets time pass, and the disk, which does not know that clock, keep up with it. */
async function pass({ clock }: Bot, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    await clock.advance(Math.min(1_000, left))
    await diskIsIdle()
  }
}

/** Waits for the disk to be used again, which has been due. */
async function untilWritten(alerts: Alerts): Promise<void> {
  while (alerts.components.get('spool')?.status !== 'up') await new Promise((resolve) => setImmediate(resolve))
}

/** A bot whose only channel is `ops`. */
async function startBot(path: string, options: Partial<AlertsOptions<string>> = {}, startAt?: number): Promise<Bot> {
  const ops = new OpsChannel()
  const clock = new FakeClock(startAt)
  const alerts = new Alerts({ channels: { ops }, fallback: 'ops', path, clock, random: () => 0, ...options })
  const news: AlertsNews[] = []
  alerts.on('change', (each) => news.push(each))
  cleanUps.push(async () => {
    const stopped = alerts.stop()
    await clock.advance(1_000)
    await stopped
  })
  await alerts.start()
  return { alerts, ops, clock, news }
}

/** What a killed process leaves: the files as they are, and a lock of nobody who lives. */
async function crash(path: string): Promise<string> {
  const copy = `${path}-after-the-crash`
  await mkdir(copy, { recursive: true })
  for (const name of await readdir(path)) {
    if (!name.startsWith('lock')) await writeFile(`${copy}/${name}`, await readFile(`${path}/${name}`))
  }
  return copy
}

const refuse = () => {
  throw new Error('ECONNREFUSED')
}

describe('a restart', () => {
  it('sends what was pending, and does not tell again what people know', async () => {
    const path = await directory()
    const before = await startBot(path)
    before.alerts.fire(down)
    await before.alerts.flush()
    before.ops.answer = refuse
    before.alerts.fire({ ...down, name: 'pending' })
    expect(await before.alerts.fire(down).stored()).toBe('disk')
    await before.alerts.stop()
    const after = await startBot(path)
    expect(after.alerts.fire(down).count).toBe(3)
    await after.alerts.flush()
    expect(after.ops.told).toEqual(['firing pending'])
    after.alerts.resolve('database down')
    await after.alerts.flush()
    expect(after.ops.told).toEqual(['firing pending', 'resolved database down'])
    expect(after.alerts.accounting).toMatchObject({ accepted: 5, delivered: 3, merged: 2, pending: 0 })
  })

  it('keeps silences', async () => {
    const path = await directory()
    const before = await startBot(path)
    before.alerts.silence({ matching: { name: 'database down' }, forMs: 600_000, why: 'moving', by: 'ann' })
    await before.alerts.stop()
    const after = await startBot(path)
    after.alerts.fire(down)
    await after.alerts.flush()
    expect(after.ops.told).toEqual([])
    await pass(after, 700_000)
    await after.alerts.flush()
    expect(after.ops.told).toEqual(['firing database down'])
  })

  it('on a machine whose clock is behind gives nothing up, and waits for nothing', async () => {
    const path = await directory()
    const before = await startBot(path, {}, Date.UTC(2030, 0, 1))
    before.ops.answer = refuse
    before.alerts.fire(down)
    await before.alerts.stop()
    const after = await startBot(path, {}, Date.UTC(2026, 0, 1))
    await pass(after, 2_000)
    await after.alerts.flush()
    expect(after.ops.told).toEqual(['firing database down'])
  })

  it('gives nothing up that never expires', async () => {
    const path = await directory()
    const before = await startBot(path, { expireMs: Infinity })
    before.ops.answer = refuse
    before.alerts.fire(down)
    await before.alerts.stop()
    const after = await startBot(path, { expireMs: Infinity })
    await after.alerts.flush()
    expect(after.ops.told).toEqual(['firing database down'])
    expect(after.alerts.accounting).toMatchObject({ delivered: 1, dead: 0 })
  })

  it('without a channel that there was tells the fallback', async () => {
    const path = await directory()
    const before = await startBot(path, {
      channels: { old: { send: () => Promise.reject(new Error('no')) } },
      fallback: 'old',
    })
    before.alerts.fire(down)
    await before.alerts.stop()
    const after = await startBot(path)
    await after.alerts.flush()
    expect(after.ops.told).toEqual(['firing database down'])
    expect(after.alerts.accounting).toMatchObject({ accepted: 1, delivered: 1, pending: 0 })
  })
})

describe('a spool that a crash left', () => {
  it('may end anywhere: what was whole is there, and what was not was never promised', async () => {
    const path = await directory()
    const before = await startBot(path)
    before.ops.answer = refuse
    for (const name of ['a', 'b', 'c']) await before.alerts.fire({ ...down, name }).stored()
    const whole = await readFile(`${path}/spool.jsonl`)
    const copy = await crash(path)
    const texts = decodeLines(whole).bodies.map((body) => encodeLine(body).length)
    for (let length = 0; length <= whole.length; length += 97) {
      await rm(copy, { recursive: true })
      await mkdir(copy)
      await writeFile(`${copy}/spool.jsonl`, whole.subarray(0, length))
      const { alerts, ops } = await startBot(copy)
      await alerts.flush()
      const kept = decodeLines(whole.subarray(0, length)).bodies.flatMap((body) => {
        const { type, notice } = body as { type?: string; notice?: { name: string } }
        return type === 'notice' ? [`firing ${notice?.name ?? ''}`] : []
      })
      expect(ops.told, `cut after ${length} bytes`).toEqual(kept)
      await alerts.stop()
    }
    expect(texts.length).toBeGreaterThan(6)
  })

  it('loses only the line that is damaged, keeps it for a look, and says so', async () => {
    const path = await directory()
    const before = await startBot(path)
    before.ops.answer = refuse
    for (const name of ['a', 'b', 'c']) await before.alerts.fire({ ...down, name }).stored()
    const copy = await crash(path)
    const text = await readFile(`${copy}/spool.jsonl`, 'utf8')
    const at = text.indexOf('"name":"b"')
    await writeFile(`${copy}/spool.jsonl`, `${text.slice(0, at)}"name":"x"${text.slice(at + 10)}`)
    const after = await startBot(copy)
    await after.alerts.flush()
    expect(after.ops.told).toEqual(['firing a', 'firing c', 'firing alert spool was damaged'])
    const { accepted, delivered, merged, silenced, dead, pending } = after.alerts.accounting
    expect(delivered + merged + silenced + dead + pending).toBe(accepted)
    const aside = (await readdir(copy)).filter((name) => name.startsWith('quarantine-'))
    expect(aside).toHaveLength(1)
    expect(await readFile(`${copy}/${aside[0]}`, 'utf8')).toContain('"name":"x"')
  })

  it('is refused when a newer version wrote it, and left as it is', async () => {
    const path = await directory()
    await mkdir(path, { recursive: true })
    const newer = encodeLine({ format: 'evenkeel-alerts', formatVersion: 2 })
    await writeFile(`${path}/spool.jsonl`, newer)
    const alerts = new Alerts({ channels: {}, path })
    await expect(alerts.start()).rejects.toMatchObject({ code: 'ALERTS_SPOOL_FORMAT', found: 2, known: 1 })
    expect(await readdir(path)).toEqual(['spool.jsonl'])
    expect(await readFile(`${path}/spool.jsonl`)).toEqual(newer)
  })

  it('belongs to one process at a time, and to the next when that is gone', async () => {
    const path = await directory()
    const first = await startBot(path)
    const second = new Alerts({ channels: {}, path })
    await expect(second.start()).rejects.toMatchObject({ code: 'ALERTS_SPOOL_LOCKED', pid: process.pid })
    await first.alerts.stop()
    await second.start()
    await second.stop()
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    await writeFile(`${path}/lock`, JSON.stringify({ pid, since: 0 }))
    await second.start()
    await second.stop()
    await writeFile(`${path}/lock`, '')
    await second.start()
    await second.stop()
    expect((await readdir(path)).sort()).toEqual(['spool.jsonl'])
  })

  it('is nobody else`s business', async () => {
    const path = await directory()
    await startBot(path)
    expect((await stat(`${path}/spool.jsonl`)).mode & 0o777).toBe(0o600)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })
})

describe('a disk', () => {
  function disk(onStep: Parameters<typeof watchDisk>[0]): () => void {
    const undo = watchDisk(onStep)
    cleanUps.push(undo)
    return undo
  }

  it('is waited for before anything is sent or promised', async () => {
    const path = await directory()
    const { alerts, ops } = await startBot(path)
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    disk((what) => (what === 'fdatasync' ? held : undefined))
    let isStored = false
    const stored = alerts
      .fire(down)
      .stored()
      .then(() => (isStored = true))
    const flushed = alerts.flush()
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect([isStored, ops.tries]).toEqual([false, []])
    release()
    await Promise.all([stored, flushed])
    expect(ops.told).toEqual(['firing database down'])
  })

  it('is told to keep all that is written: the spool, the dead letters, the file of a channel', async () => {
    const path = await directory()
    const steps = { write: 0, fdatasync: 0 }
    disk((what) => {
      if (what === 'write' || what === 'fdatasync') steps[what]++
      return undefined
    })
    const ops = new OpsChannel()
    const bot = await startBot(path, { channels: { ops, book: fileChannel({ path: `${path}/book.jsonl` }) } })
    ops.answer = () => {
      throw new DeliveryError('answered 400', { retryable: false, scope: 'message' })
    }
    // The lock is worth nothing after a crash of the machine.
    expect(steps.fdatasync).toBe(steps.write - 1)
    bot.alerts.fire(down)
    await pass(bot, 4_000)
    expect(await readFile(`${path}/book.jsonl`, 'utf8')).toContain('database down')
    expect(await readFile(`${path}/dead-letter.jsonl`, 'utf8')).toContain('database down')
    await bot.alerts.stop()
    expect(steps.fdatasync).toBe(steps.write - 1)
  })

  it('that hangs keeps nobody from being told, and is told of', async () => {
    const path = await directory()
    const { alerts, ops, clock } = await startBot(path)
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const undo = disk((what) => (what === 'fdatasync' ? held : undefined))
    const stored = alerts.fire(down).stored()
    await clock.advance(20_000)
    expect(await stored).toBe('memory')
    expect(ops.told).toContain('firing database down')
    expect(ops.told).toContain('firing alert spool not writable')
    expect(alerts.components.get('spool')).toMatchObject({ status: 'down' })
    undo()
    release()
  })

  it('that is full is said loudly; everything stays in memory, and is written when there is room', async () => {
    const path = await directory()
    const { alerts, ops, clock, news } = await startBot(path)
    const undo = disk((what, half) => {
      if (what !== 'write') return undefined
      half?.()
      throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    })
    expect(await alerts.fire(down).stored()).toBe('memory')
    await alerts.flush()
    expect(ops.told).toEqual(['firing database down', 'firing alert spool not writable'])
    const { status, reason } = alerts.components.get('spool') ?? {}
    expect([status, reason]).toEqual(['down', expect.stringContaining('ENOSPC')])
    expect(news.filter(({ what }) => what === 'alerts').at(-1)).toMatchObject({ to: 'degraded' })
    expect(alerts.status).toBe('degraded')
    ops.answer = refuse
    alerts.fire({ ...down, name: 'pending' })
    undo()
    await clock.advance(2_000)
    await untilWritten(alerts)
    const after = await startBot(await crash(path))
    await after.alerts.flush()
    expect(after.ops.told).toContain('firing pending')
  })

  it('that is full when alerts begin keeps nobody from being told, and what an earlier process left follows', async () => {
    const path = await directory()
    const before = await startBot(path)
    before.ops.answer = refuse
    before.alerts.fire({ ...down, name: 'from before' })
    await before.alerts.stop()
    const { accepted } = before.alerts.accounting
    for (let failAt = 1; ; failAt++) {
      const copy = await crash(path)
      let steps = 0
      const undo = disk((what, half) => {
        // What makes room is possible on a full disk too.
        if (what.startsWith('unlink') || ++steps < failAt) return undefined
        half?.()
        throw Object.assign(new Error('full'), { code: 'ENOSPC' })
      })
      const bot = await startBot(copy)
      const wasWhole = steps < failAt
      expect(bot.alerts.components.get('spool')?.status, `full from step ${failAt}`).toBe(wasWhole ? 'up' : 'down')
      if (wasWhole) undo()
      else expect(await bot.alerts.fire(down).stored()).toBe('memory')
      await bot.alerts.flush()
      undo()
      await pass(bot, 4_000)
      await untilWritten(bot.alerts)
      await bot.alerts.flush()
      const told = [...bot.ops.told].sort()
      expect(told, `full from step ${failAt}`).toContain('firing from before')
      if (!wasWhole) expect(told).toContain('firing alert spool not writable')
      const { accounting } = bot.alerts
      expect(accounting.delivered + accounting.merged + accounting.pending).toBe(accounting.accepted)
      expect(accounting.accepted).toBe(accepted + (wasWhole ? 0 : 3))
      await bot.alerts.stop()
      const litter = (await readdir(copy)).filter((name) => name.startsWith('lock'))
      expect(litter, `full from step ${failAt}`).toEqual([])
      if (wasWhole) break
    }
  })

  describe('that is full when alerts are stopped', () => {
    /** Stopped with one alert that people know, one that ended in memory only, and one that waits in memory only. */
    async function stopOnFullDisk(): Promise<Bot & { readonly path: string; readonly undo: () => void }> {
      const path = await directory()
      const bot = await startBot(path)
      const { alerts, ops } = bot
      ops.answer = refuse
      expect(await alerts.fire(down).stored()).toBe('disk')
      const undo = disk((what) => {
        if (what === 'write') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
        return undefined
      })
      expect(await alerts.fire({ ...down, name: 'silenced' }).stored()).toBe('memory')
      ops.answer = () => undefined
      await alerts.flush()
      ops.answer = refuse
      alerts.fire({ ...down, name: 'in memory' })
      const warned = new Promise((resolve) => process.once('warning', resolve))
      await alerts.stop()
      expect(await warned).toMatchObject({ code: 'EVENKEEL_ALERTS_LOST' })
      ops.answer = () => undefined
      ops.messages.length = 0
      return { ...bot, path, undo }
    }

    const sum = ({ delivered, merged, silenced, dead, lost, pending }: Alerts['accounting']): number =>
      delivered + merged + silenced + dead + lost + pending

    it('loses nothing for the next start of the same process, and tells nothing twice', async () => {
      const { alerts, ops, undo } = await stopOnFullDisk()
      const { accepted } = alerts.accounting
      undo()
      await alerts.start()
      await alerts.flush()
      expect(ops.told).toEqual(['firing in memory', 'resolved alert spool not writable'])
      expect(alerts.accounting).toMatchObject({ accepted: accepted + 1, pending: 0 })
      expect(alerts.fire(down).count).toBe(2)
    })

    it('and still is at the next start of the same process loses nothing either', async () => {
      const bot = await stopOnFullDisk()
      const { alerts, ops, undo } = bot
      await alerts.start()
      await alerts.flush()
      expect(ops.told).toEqual(['firing in memory'])
      undo()
      await pass(bot, 4_000)
      await untilWritten(alerts)
      await alerts.flush()
      expect(ops.told).toEqual(['firing in memory', 'resolved alert spool not writable'])
      expect(sum(alerts.accounting)).toBe(alerts.accounting.accepted)
    })

    it('loses nothing although another process had the spool meanwhile', async () => {
      const { alerts, ops, undo, path } = await stopOnFullDisk()
      undo()
      const other = await startBot(path)
      other.ops.answer = refuse
      await other.alerts.fire({ ...down, name: 'of the other' }).stored()
      await other.alerts.stop()
      await alerts.start()
      await alerts.flush()
      expect(ops.told).toContain('firing in memory')
      expect(ops.told).toContain('firing of the other')
      expect(sum(alerts.accounting)).toBe(alerts.accounting.accepted)
    })
  })

  it('that is full when the same process begins again loses nothing of what was written before', async () => {
    const path = await directory()
    const bot = await startBot(path)
    const { alerts, ops } = bot
    ops.answer = refuse
    alerts.fire(down)
    await alerts.stop()
    ops.answer = () => undefined
    const undo = disk((what) => {
      if (what === 'write') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
      return undefined
    })
    await alerts.start()
    await alerts.flush()
    expect(ops.told).toEqual(['firing database down', 'firing alert spool not writable'])
    undo()
    await pass(bot, 4_000)
    await untilWritten(alerts)
    await alerts.flush()
    expect(ops.told.slice(2)).toEqual(['resolved alert spool not writable'])
    expect(alerts.accounting).toMatchObject({ accepted: 3, delivered: 3 })
  })

  it('that hung when alerts were stopped lets the same process begin again when it answers', async () => {
    const path = await directory()
    const { alerts, ops, clock } = await startBot(path)
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const undo = disk((what) => (what === 'fdatasync' ? held : undefined))
    ops.answer = () => new Promise(() => undefined)
    alerts.fire(down)
    const stopped = alerts.stop()
    await clock.advance(20_000)
    await stopped
    ops.answer = () => undefined
    undo()
    release()
    await diskIsIdle()
    await alerts.start()
    await alerts.flush()
    expect(ops.told).toEqual(['firing database down'])
  })

  it('that works again has also what came in while the new file was made', async () => {
    const path = await directory()
    const { alerts, ops, clock } = await startBot(path)
    const undo = disk((what) => {
      if (what === 'write') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
      return undefined
    })
    ops.answer = refuse
    await alerts.fire(down).stored()
    undo()
    let release: (() => void) | undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    let isMaking = false
    disk((what) => {
      isMaking ||= what === 'fdatasync'
      return what === 'fdatasync' ? held : undefined
    })
    await clock.advance(2_000)
    while (!isMaking) await new Promise((resolve) => setImmediate(resolve))
    alerts.fire({ ...down, name: 'meanwhile' })
    release?.()
    await untilWritten(alerts)
    expect(await alerts.fire({ ...down, name: 'after' }).stored()).toBe('disk')
    const after = await startBot(await crash(path))
    await after.alerts.flush()
    expect(after.ops.told).toEqual(expect.arrayContaining(['firing database down', 'firing meanwhile', 'firing after']))
  })

  it('that fails at any step loses nothing', async () => {
    for (let failAt = 1; ; failAt++) {
      const path = await directory()
      const bot = await startBot(path)
      const { alerts, ops } = bot
      let steps = 0
      const undo = watchDisk((what, half) => {
        if (++steps !== failAt) return undefined
        half?.()
        throw Object.assign(new Error('broken'), { code: 'EIO' })
      })
      for (const name of ['a', 'b']) await alerts.fire({ ...down, name }).stored()
      await alerts.flush()
      ops.answer = refuse
      await alerts.fire({ ...down, name: 'c' }).stored()
      undo()
      await pass(bot, 2_000)
      await untilWritten(alerts)
      const after = await startBot(await crash(path))
      await after.alerts.flush()
      expect([...ops.told, ...after.ops.told], `failed at step ${failAt}`).toEqual(
        expect.arrayContaining(['firing a', 'firing b', 'firing c']),
      )
      expect(
        after.ops.told.filter((told) => told === 'firing a'),
        `failed at step ${failAt}`,
      ).toEqual([])
      if (steps < failAt) break
    }
  })

  it('from which somebody removes the spool gets it again', async () => {
    const path = await directory()
    const { alerts, ops, clock } = await startBot(path)
    await rm(path, { recursive: true })
    ops.answer = refuse
    await alerts.fire(down).stored()
    await clock.advance(2_000)
    await untilWritten(alerts)
    const after = await startBot(await crash(path))
    await after.alerts.flush()
    expect(after.ops.told).toContain('firing database down')
  })

  it('is not filled up: the spool is written anew without what is settled', async () => {
    const path = await directory()
    const { alerts } = await startBot(path)
    for (let n = 0; n < 3_000; n++) {
      alerts.fire({ ...down, name: `alert ${n % 7}`, message: 'x'.repeat(1_000) })
      alerts.resolve(`alert ${n % 7}`)
      if (n % 100 === 0) await alerts.flush()
    }
    await alerts.flush()
    expect((await stat(`${path}/spool.jsonl`)).size).toBeLessThan(2_500_000)
    await alerts.stop()
    expect((await startBot(path)).alerts.accounting).toMatchObject({ accepted: 6_000, pending: 0 })
  })
})

describe('the dead-letter file', () => {
  it('has what no channel would take, with the reason', async () => {
    const path = await directory()
    const bot = await startBot(path, { expireMs: 60_000 })
    const { alerts, ops } = bot
    ops.answer = refuse
    await alerts.fire(down).stored()
    while (alerts.accounting.dead === 0) await pass(bot, 1_000)
    const [letter = ''] = (await readFile(`${path}/dead-letter.jsonl`, 'utf8')).trim().split('\n')
    expect(JSON.parse(letter)).toMatchObject({
      channel: 'ops',
      why: 'expired while the channel was down (ECONNREFUSED)',
      notice: { name: 'database down' },
    })
    expect(alerts.accounting).toMatchObject({ dead: 1 })
  })

  it('that cannot be written keeps the alert pending', async () => {
    const path = await directory()
    const bot = await startBot(path, { expireMs: 60_000 })
    const { alerts, ops } = bot
    ops.answer = refuse
    await mkdir(`${path}/dead-letter.jsonl`)
    await alerts.fire(down).stored()
    const warned = new Promise((resolve) => process.once('warning', resolve))
    await pass(bot, 200_000)
    expect(await warned).toMatchObject({ code: 'EVENKEEL_DEAD_LETTER' })
    expect(alerts.accounting).toMatchObject({ dead: 0, delivered: 1, pending: 1 })
    await rm(`${path}/dead-letter.jsonl`, { recursive: true })
    while (alerts.accounting.pending > 0) await pass(bot, 1_000)
    expect(alerts.accounting).toMatchObject({ dead: 1 })
  })
})
