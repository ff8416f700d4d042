import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Alerts } from './alerts.js'
import { DeliveryError } from './errors.js'
import type { DeadNews } from './events.js'
import type { AlertsOptions } from './options.js'
import { temporaryDirectory } from './test-support/directories.js'
import { diskIsIdle, watchDisk } from './test-support/faulty-disk.js'
import { OpsChannel } from './test-support/ops-channel.js'

const cleanUps: (() => unknown)[] = []

beforeEach(() => {
  cleanUps.push(watchDisk(() => undefined))
})

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const down = { name: 'database down', severity: 'CRITICAL', message: 'refused' } as const

async function begin(options: Partial<AlertsOptions<string>> = {}) {
  const made = await temporaryDirectory()
  cleanUps.push(() => made[Symbol.asyncDispose]())
  const ops = new OpsChannel()
  const clock = new FakeClock()
  const alerts = new Alerts({ channels: { ops }, fallback: 'ops', path: made.path, clock, ...options })
  cleanUps.push(async () => {
    const stopped = alerts.stop()
    await pass(2_000)
    await stopped
  })
  const dead: DeadNews[] = []
  alerts.on('dead', (news) => dead.push(news))
  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1_000) {
      await clock.advance(Math.min(1_000, left))
      await diskIsIdle()
    }
  }
  await alerts.start()
  return { alerts, ops, clock, dead, path: made.path, file: `${made.path}/dead-letter.jsonl`, pass }
}

function sumOf({ delivered, merged, silenced, dead, lost, pending }: Alerts['accounting']): number {
  return delivered + merged + silenced + dead + lost + pending
}

const refusePoison: OpsChannel['answer'] = ({ notices }) => {
  if (notices.every(({ name }) => name !== 'poison')) return undefined
  throw new DeliveryError('answered 400', { retryable: false, scope: 'message' })
}

describe('a dead-letter file that cannot be written', () => {
  it('holds up no other alert of the channel', async () => {
    const { alerts, ops, file, pass } = await begin()
    await mkdir(file)
    ops.answer = refusePoison
    alerts.fire({ ...down, name: 'poison' })
    await pass(5_000)
    for (const name of ['a', 'b']) {
      alerts.fire({ ...down, name })
      await pass(5_000)
    }
    expect(ops.told).toEqual(['firing a', 'firing b'])
    expect(ops.tries.filter(({ notices }) => notices.some(({ name }) => name === 'poison'))).toHaveLength(1)
    expect(alerts.accounting).toMatchObject({ accepted: 3, delivered: 2, dead: 0, pending: 1 })
    await rm(file, { recursive: true })
    while (alerts.accounting.dead === 0) await pass(1_000)
    expect(alerts.accounting).toMatchObject({ accepted: 3, delivered: 2, dead: 1, pending: 0 })
    expect(await readFile(file, 'utf8')).toContain('"poison"')
  })

  it('lets no memory grow: what is too much even for that is lost, counted and told', async () => {
    const { alerts, ops, file, dead, pass } = await begin({ maxPending: 100 })
    await mkdir(file)
    ops.answer = () => new Promise(() => undefined)
    let most = 0
    for (let n = 0; n < 2_000; n++) {
      alerts.fire({ ...down, name: `alert ${n}`, severity: n % 2 === 0 ? 'INFO' : 'CRITICAL' })
      if (n % 50 === 0) await pass(1)
      most = Math.max(most, alerts.accounting.pending)
    }
    expect(most).toBeLessThanOrEqual(2 * 100 + 51)
    const { accounting } = alerts
    expect(sumOf(accounting)).toBe(accounting.accepted)
    expect(accounting.lost).toBeGreaterThan(1_700)
    const lost = dead.filter(({ to }) => to === 'lost').flatMap(({ notices }) => notices)
    expect(lost).toHaveLength(accounting.lost)
    await rm(file, { recursive: true })
    // Those that became too many meanwhile are written after those that were.
    const tooMany = accounting.pending - 100
    // The news that the channel is down may come meanwhile: it makes one more too many, lost or dead as the file is by then.
    while (alerts.accounting.dead < tooMany || alerts.accounting.pending > 100) await pass(1_000)
    await pass(10_000)
    while (alerts.accounting.pending > 100) await pass(1_000)
    const { accepted, dead: buried, lost: all, pending } = alerts.accounting
    expect(pending).toBe(100)
    expect(buried).toBeGreaterThanOrEqual(tooMany)
    expect(buried + all).toBe(tooMany + accounting.lost + accepted - accounting.accepted)
    expect(sumOf(alerts.accounting)).toBe(alerts.accounting.accepted)
  })

  it('is not waited for by whoever stops the alerts, and what is not in it is sent by the next process', async () => {
    const { alerts, ops, file, path, clock, pass } = await begin()
    ops.answer = refusePoison
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const name = 'poison'
    await alerts.fire({ ...down, name }).stored()
    await writeFile(file, 'x')
    let syncs = 0
    // The first is of the message that is sent; then the disk hangs.
    cleanUps.push(watchDisk((what) => (what === 'fdatasync' && ++syncs > 1 ? held : undefined)))
    await clock.advance(2_000)
    while (syncs < 2 || ops.tries.length === 0) await new Promise((resolve) => setImmediate(resolve))
    let isStopped = false
    const stopped = alerts.stop().then(() => (isStopped = true))
    for (let second = 0; second < 30 && !isStopped; second++) await clock.advance(1_000)
    expect(isStopped).toBe(true)
    await stopped
    // As a crash leaves it: what the hanging disk was told is not there.
    const copy = `${path}/copy`
    await mkdir(copy)
    await writeFile(`${copy}/spool.jsonl`, await readFile(`${path}/spool.jsonl`))
    release()
    const after = new OpsChannel()
    const next = new Alerts({ channels: { ops: after }, path: copy, clock })
    await next.start()
    await next.flush()
    await next.stop()
    expect(after.told).toEqual(['firing poison'])
    await pass(1)
  })
})
