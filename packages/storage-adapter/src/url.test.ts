import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileStorage } from './file/file-storage.js'
import { MemoryStorage } from './memory-storage.js'
import { PostgresStorage } from './postgres.js'
import { RedisStorage } from './redis.js'
import { SqliteStorage } from './sqlite.js'
import { storageFromUrl } from './url.js'

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'evenkeel-url-'))
})
afterAll(() => rm(directory, { recursive: true }))

describe('storageFromUrl', () => {
  it.each([
    ['memory:', MemoryStorage],
    ['file:data/bot', FileStorage],
    ['file:data/bot?compactBytes=1000', FileStorage],
    ['sqlite:data/bot.db', SqliteStorage],
    ['SQLITE:data/bot.db?busyTimeoutMs=100&driver=auto', SqliteStorage],
    ['postgres://bot@db.example/bot?poolSize=3&sslmode=require', PostgresStorage],
    ['postgresql://bot@db.example/bot', PostgresStorage],
    ['redis://cache.example:6379/0?timeoutMs=100', RedisStorage],
    ['rediss://cache.example', RedisStorage],
  ])('makes of %s the right storage, without opening it', (url, type) => {
    expect(storageFromUrl(url)).toBeInstanceOf(type)
  })

  it.each([
    ['relative', (path: string) => `file:${path}`],
    ['with two slashes', (path: string) => `file://${path}`],
    ['percent-encoded', (path: string) => `file:${path.replaceAll('-', '%2D')}`],
  ])('finds a path that is %s', async (name, toUrl) => {
    const path = join(directory, name)
    const storage = storageFromUrl(toUrl(path))
    await storage.start()
    await storage.stop()
    expect((await stat(path)).isDirectory()).toBe(true)
  })

  it('hands the clock on', async () => {
    const clock = { now: () => 5_000, monotonic: () => 0, after: () => () => undefined }
    const notes = storageFromUrl('memory:', { clock }).collection('notes')
    await notes.set('a', 1, { ttlMs: 10 })
    expect((await notes.entry('a'))?.expiresAt).toBe(5_010)
  })

  it.each([
    [undefined, 'is the environment variable set?'],
    ['', 'is the environment variable set?'],
    ['bot.db', 'begins with what it is'],
    ['mysql://root:secret@host/db', 'not "mysql"'],
    ['sqlite:', 'needs a path'],
    ['sqlite:bot.db?busyTimeout=5', 'SqliteStorage has no option busyTimeout'],
    ['sqlite:bot.db?busyTimeoutMs=soon', 'busyTimeoutMs in the address of a storage must be a number, not "soon"'],
    ['sqlite:bot.db?busyTimeoutMs=', 'must be a number'],
    ['sqlite:bot.db?worker=yes', 'worker in the address of a storage must be true or false'],
    ['file:data/100%', /holds a % that encodes nothing; write %25/],
    ['sqlite:100%.db', /holds a % that encodes nothing; write %25/],
    ['memory:?timeoutMs=5', 'MemoryStorage has no option timeoutMs'],
    ['postgres://bot:secret@host/db?poolSize=-1', 'poolSize'],
    ['postgres://bot:secret@ho st/db', /./],
    ['redis://:secret@host:notaport', /./],
  ])('refuses %j', (url, message) => {
    let failure: unknown
    try {
      storageFromUrl(url)
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(Error)
    expect((failure as Error).message).toMatch(message)
    expect(inspect(failure, { depth: 9 })).not.toContain('secret')
  })

  it('refuses a password for what has none, and an option that it does not know', () => {
    expect(() => storageFromUrl('memory:', { password: 'secret' })).toThrow('memory: has no password')
    expect(() => storageFromUrl('memory:', { pasword: 'secret' } as never)).toThrow(
      'storageFromUrl has no option pasword',
    )
  })

  it.each(['postgres://bot:secret@host/db', 'redis://bot:secret@host/0'])('shows nobody the password of %s', (url) => {
    expect(inspect(storageFromUrl(url), { depth: 9, showHidden: true })).not.toContain('secret')
  })
})
