import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { look } from '../test-support/look.js'
import { temporaryFolder } from '../test-support/temporary-folder.js'
import { logCheck, type LogCheckOptions } from './log-check.js'

/** A bot that writes a log which is watched. */
function startLog(options: LogCheckOptions = {}) {
  const folder = temporaryFolder()
  const path = join(folder, 'bot.log')
  const clock = new FakeClock()
  writeFileSync(path, 'error: an old one\n'.repeat(50))
  const check = logCheck(path, { clock, degradedLines: 0, ...options })
  return {
    path,
    clock,
    beside: (name: string): string => join(folder, name),
    write: (text: string): void => appendFileSync(path, text),
    errors: (count: number): void => appendFileSync(path, 'fine\nerror: no answer\n'.repeat(count)),
    look: () => look(check),
    check,
  }
}

const matching = (count: number) => expect.stringMatching(new RegExp(`^${count || 'no'} lines? match`)) as string

it('begins at the end of the file, and counts what is added', async () => {
  const log = startLog()
  expect(await log.look()).toEqual({ status: 'up', reason: 'reading begins here, at the end of the file' })
  expect(await log.look()).toEqual({ status: 'up', reason: 'no lines match within 5 min' })
  log.errors(1)
  expect(await log.look()).toEqual({ status: 'degraded', reason: '1 line matches within 5 min, above 0' })
  log.errors(101)
  expect(await log.look()).toEqual({ status: 'down', reason: '102 lines match within 5 min, above 100' })
})

it('forgets lines after the window, also when the wall clock is moved', async () => {
  const log = startLog()
  await log.look()
  log.errors(2)
  await log.look()
  log.clock.jump(-3_600_000)
  await log.clock.advance(299_000)
  expect((await log.look()).reason).toEqual(matching(2))
  await log.clock.advance(1_000)
  expect(await log.look()).toEqual({ status: 'up', reason: 'no lines match within 5 min' })
})

it('counts a line once it is complete, and no character is torn', async () => {
  const log = startLog({ pattern: /^größer:/ })
  await log.look()
  const bytes = Buffer.from('größer: zu viel\n')
  log.write(bytes.subarray(0, 3).toString('latin1'))
  truncateSync(log.path, 50 * 18)
  for (const byte of bytes) {
    expect((await log.look()).reason).toEqual(matching(0))
    appendFileSync(log.path, Buffer.from([byte]))
  }
  expect((await log.look()).reason).toEqual(matching(1))
})

describe('a rotation', () => {
  it('by renaming loses nothing', async () => {
    const log = startLog()
    await log.look()
    log.errors(2)
    renameSync(log.path, log.beside('bot.log.1'))
    log.errors(3)
    expect((await log.look()).reason).toEqual(matching(5))
    log.errors(1)
    expect((await log.look()).reason).toEqual(matching(6))
  })

  it('by renaming that is seen in the middle loses nothing, and counts nothing twice', async () => {
    const log = startLog()
    await log.look()
    log.errors(2)
    renameSync(log.path, log.beside('bot-2026-01-01.log'))
    expect(await log.look()).toEqual({ status: 'degraded', reason: `there is no file ${log.path}` })
    appendFileSync(log.beside('bot-2026-01-01.log'), 'error: a late one\n')
    log.errors(1)
    expect((await log.look()).reason).toEqual(matching(4))
    expect((await log.look()).reason).toEqual(matching(4))
  })

  it('by copying and emptying goes on at the beginning', async () => {
    const log = startLog()
    await log.look()
    copyFileSync(log.path, log.beside('bot.log.1'))
    truncateSync(log.path)
    log.errors(3)
    expect((await log.look()).reason).toEqual(matching(3))
  })

  it('by emptying loses nothing to the hole that a writer leaves who goes on where he was', async () => {
    const log = startLog()
    const writer = openSync(log.path, 'r+')
    onTestFinished(() => closeSync(writer))
    writeSync(writer, 'fine\n'.repeat(10_000))
    await log.look()
    truncateSync(log.path)
    writeSync(writer, 'error: no answer\n'.repeat(3))
    expect((await log.look()).reason).toEqual(matching(3))
  })

  it('by emptying is noticed although the file has grown again since', async () => {
    const log = startLog()
    await log.look()
    truncateSync(log.path)
    log.errors(200)
    expect((await log.look()).reason).toEqual(matching(200))
  })

  it('by deleting begins anew, whatever lies beside it', async () => {
    const log = startLog()
    await log.look()
    rmSync(log.path)
    writeFileSync(log.beside('bot.log.gz'), 'error\n'.repeat(200))
    log.errors(2)
    expect((await log.look()).reason).toEqual(matching(2))
  })
})

it('is degraded while there is no file, and reads it from its beginning when it comes', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'bot.log')
  const check = logCheck(path, { degradedLines: 0 })
  expect(await look(check)).toEqual({ status: 'degraded', reason: `there is no file ${path}` })
  writeFileSync(path, 'error: an early one\n')
  expect((await look(check)).reason).toEqual(matching(1))
})

it('begins at the end also when it could not be opened at first: what stood there is no news', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'bot.log')
  const old = join(folder, 'old')
  writeFileSync(old, 'error: an old one\n'.repeat(200))
  symlinkSync(path, path)
  const check = logCheck(path)
  expect(await look(check)).toMatchObject({ status: 'down', reason: expect.stringContaining('ELOOP') as string })
  rmSync(path)
  symlinkSync(old, path)
  expect(await look(check)).toEqual({ status: 'up', reason: 'reading begins here, at the end of the file' })
})

it('reads the end of a huge backlog, and says what it skipped', async () => {
  const log = startLog({ downLines: Infinity })
  await log.look()
  log.write('error: one of many\n'.repeat(1_000_000))
  const { reason } = await log.look()
  expect(reason).toMatch(/^22\d,\d{3} lines match within 5 min, above 0; 14.1 MiB of a backlog were skipped$/)
  expect((await log.look()).reason).not.toContain('skipped')
})

it('is not held up by a line without an end', async () => {
  const log = startLog()
  await log.look()
  for (let look = 0; look < 5; look++) {
    log.write(`error ${'x'.repeat(1_000_000)}`)
    expect((await log.look()).reason).toEqual(matching(0))
  }
  log.write('\n')
  expect((await log.look()).reason).toEqual(matching(1))
})

it('counts each line, also with a pattern that remembers', async () => {
  const log = startLog({ pattern: /error/g })
  await log.look()
  log.errors(4)
  expect((await log.look()).reason).toEqual(matching(4))
})

it('counts nothing twice when two monitors look at once', async () => {
  const log = startLog()
  await Promise.all([log.look(), log.look()])
  log.errors(3)
  const [one, other] = await Promise.all([log.look(), log.look()])
  expect(one.reason).toEqual(matching(3))
  expect(other).toEqual(one)
})

it('is down when the path is no file, and says so', async () => {
  expect((await look(logCheck(temporaryFolder()))).reason).toMatch(/EISDIR|directory|no lines|begins here/)
})

it.each([
  ['', {}, TypeError],
  [undefined, {}, TypeError],
  ['x', { pattern: 'error' }, TypeError],
  ['x', { windowMs: 0 }, RangeError],
  ['x', { degradedLines: 500 }, RangeError],
  ['x', { maxLines: 500 }, TypeError],
])('refuses %o with %o', (path, options, kind) => {
  expect(() => logCheck(path as never, options as never)).toThrow(kind)
})
