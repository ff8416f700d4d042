import { FakeClock } from '@evenkeel/testing'
import Module from 'node:module'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { storageContract } from '../contract.js'
import { hasHashTag, RedisKeys } from './redis-keys.js'
import { packRecord, unpackRecord } from './redis-record.js'
import { durabilityOf, readFacts } from './redis-server-facts.js'
import { RedisStorage, type RedisStorageOptions } from '../redis.js'
import type { Notice } from '../storage.js'
import { systemClock } from '../system-clock.js'
import { outputOf, startChild } from '../test-support/child.js'
import { describeRedis, freshPrefix, redisUrl } from '../test-support/redis-describe.js'
import { ioredisPackages, redisClient } from '../test-support/redis-server.js'

const NOT_APPLIED = { code: 'STORAGE_UNAVAILABLE', applied: 'no' }

for (const name of ioredisPackages) {
  let prefix = ''
  const open = (clock?: RedisStorageOptions['clock']): RedisStorage =>
    new RedisStorage({ client: redisClient(redisUrl, name), prefix, clock })
  storageContract(
    {
      name: `RedisStorage over ${name}`,
      create: (clock) => {
        prefix = freshPrefix()
        return open(clock)
      },
      reopen: open,
      join: open,
    },
    { describe: describeRedis, it },
  )
}

describeRedis('RedisStorage', () => {
  let prefix: string
  let storage: RedisStorage

  beforeEach(() => {
    prefix = freshPrefix()
    storage = new RedisStorage({ url: redisUrl, prefix })
  })
  afterEach(() => storage.stop())

  async function command(name: string, ...parameters: (string | number)[]): Promise<unknown> {
    const client = redisClient(redisUrl)
    try {
      return await client.call(name, ...parameters)
    } finally {
      client.disconnect()
    }
  }

  it('loses no update of two processes, gives each seat to one, and hears of all', { timeout: 30_000 }, async () => {
    const watch = storage.collection('seats').watch()[Symbol.asyncIterator]()
    await watch.next()
    const children = [1, 2].map(() => startChild('redis-child.ts', redisUrl, prefix, '200'))
    const outputs = Promise.all(children.map(outputOf))
    const heard = new Set<string>()
    while (heard.size < 200) {
      const { value } = (await watch.next()) as { value: Notice<number> }
      if (value.type === 'set') heard.add(value.key)
    }
    await watch.return?.()
    for (const { stderr } of await outputs) expect(stderr).toBe('')
    expect(await storage.collection('numbers').get('n')).toBe(400)
    expect((await outputs).reduce((sum, { stdout }) => sum + Number(stdout), 0)).toBe(200)
  })

  it('never touches what another prefix keeps, however the names are chosen', async () => {
    // Without an end to the prefix, the collection `x` of one and the hash `records/x` of the other are one key.
    const others = [`${prefix}b`, `${prefix}:records`].map(
      (other) => new RedisStorage({ url: redisUrl, prefix: other }),
    )
    for (const other of others) await other.collection('users').set('a', 1)
    await storage.collection('users').set('a', 2)
    await storage.collection('users').clear()
    for (const other of others) {
      expect(await other.collection('users').get('a')).toBe(1)
      expect(await other.collections()).toEqual(['users'])
      await other.stop()
    }
    expect(() => new RedisStorage({ url: redisUrl, prefix: 'a/records' })).toThrow(/prefix must be/)
  })

  it('uses the settings of a client that it is given, and leaves the client alone', async () => {
    const client = redisClient(redisUrl)
    client.options.keyPrefix = prefix
    const given = new RedisStorage({ client, prefix: 'mine' })
    await given.collection('notes').set('a', 1)
    expect(await command('EXISTS', `${prefix}mine/records/notes`)).toBe(1)
    await given.stop()
    expect(client.status).toBe('wait')
    client.disconnect()
  })

  it('keeps only so many changes, and a cursor from before them begins anew', async () => {
    const short = new RedisStorage({ url: redisUrl, prefix, keepChanges: 1 })
    const { cursor } = await short.changes()
    const notes = short.collection<number>('notes')
    // Redis trims its stream by whole blocks of a hundred entries.
    for (let i = 0; i < 3; i++) await notes.setMany(Array.from({ length: 100 }, (_, n) => [`k${n}`, i]))
    const late = await short.changes({ since: cursor })
    expect(late).toMatchObject({ changes: [], isReset: true })
    await notes.set('a', 1)
    const { changes, isReset } = await short.changes({ since: late.cursor })
    expect([changes.map(({ key }) => key), isReset]).toEqual([['a'], false])
    await short.stop()
  })

  it('begins anew with a cursor of another store, and with one that an older backup does not know', async () => {
    const other = new RedisStorage({ url: redisUrl, prefix: freshPrefix() })
    const { cursor: foreign } = await other.changes()
    await other.stop()
    expect(await storage.changes({ since: foreign })).toMatchObject({ changes: [], isReset: true })
    const { cursor: own } = await storage.changes()
    const sameEntry = `${foreign.slice(0, foreign.indexOf('.'))}${own.slice(own.indexOf('.'))}`
    expect((await storage.changes({ since: own })).isReset).toBe(false)
    expect((await storage.changes({ since: sameEntry })).isReset).toBe(true)
    const beyond = `${own.slice(0, own.lastIndexOf('.'))}.${2n ** 64n}-0`
    expect((await storage.changes({ since: beyond })).isReset).toBe(true)
    const notes = storage.collection('notes')
    const { cursor: before } = await storage.changes()
    await notes.set('a', 1)
    const { cursor } = await storage.changes({ since: before })
    const [last] = (await command('XREVRANGE', `${prefix}/changes`, '+', '-', 'COUNT', 1)) as [[string]]
    await command('XDEL', `${prefix}/changes`, last[0])
    await notes.set('b', 1)
    expect(await storage.changes({ since: cursor })).toMatchObject({ changes: [], isReset: true })
    expect((await storage.changes({ since: before })).changes).toMatchObject([{ key: 'b' }])
  })

  it('goes on with a cursor in a later process', async () => {
    const { cursor } = await storage.changes()
    await storage.collection('notes').set('a', 1)
    await storage.stop()
    const later = new RedisStorage({ url: redisUrl, prefix })
    expect((await later.changes({ since: cursor })).changes).toMatchObject([{ type: 'put', key: 'a' }])
    await later.stop()
  })

  it('removes what expired more than an hour ago, and what is left of a collection with it', async () => {
    const clock = new FakeClock()
    const own = new RedisStorage({ url: redisUrl, prefix, clock })
    const entries = Array.from({ length: 700 }, (_, i): [string, number] => [`k${i}`, i])
    await own.collection('short').setMany(entries, { ttlMs: 1_000 })
    await own.collection('mixed').setMany(entries, { ttlMs: 1_000 })
    await own.collection('mixed').set('stays', 1)
    await clock.advance(3_602_000)
    await own.collection('other').set('a', 1)
    const short = ['records', 'index', 'expiry'].map((kind) => `${prefix}/${kind}/short`)
    const left = () => Promise.all([command('HLEN', `${prefix}/records/mixed`), command('EXISTS', ...short)])
    await expect.poll(left).toEqual([2, 0])
    await own.stop()
    expect(await command('ZRANGE', `${prefix}/collections`, 0, -1, 'WITHSCORES')).toEqual([
      'mixed',
      'inf',
      'other',
      'inf',
    ])
  })

  it('removes nothing that lives by the clock of the server, though a process is hours ahead', async () => {
    const now = Date.now()
    const notes = storage.collection('notes')
    await notes.set('lives', 1, { expiresAt: now + 3_600_000 })
    await notes.set('expired', 1, { expiresAt: now - 7_200_000 })
    const ahead = new RedisStorage({
      url: redisUrl,
      prefix,
      clock: { ...systemClock, now: () => Date.now() + 3 * 3_600_000 },
    })
    await ahead.collection('other').set('a', 1)
    await expect.poll(() => command('HEXISTS', `${prefix}/records/notes`, 'expired')).toBe(0)
    await ahead.stop()
    expect(await notes.get('lives')).toBe(1)
  })

  it.each(['records/b', 'index/b', 'expiry/b', 'collections', 'changes'])(
    'finds before its first change that %s is something else',
    async (name) => {
      await storage.start()
      await command('DEL', `${prefix}/${name}`)
      await command('SET', `${prefix}/${name}`, 'x')
      const write = storage.batch([
        { type: 'set', collection: 'a', key: 'k', value: 1 },
        { type: 'set', collection: 'b', key: 'k', value: 1, ttlMs: 60_000 },
      ])
      await expect(write).rejects.toMatchObject({ code: 'STORAGE_CORRUPT', applied: 'no' })
      expect(await command('EXISTS', ...new RedisKeys(prefix).of('a'))).toBe(0)
      expect(await storage.collection('a').get('k')).toBeUndefined()
    },
  )

  it('does not remove a record that no longer expires', async () => {
    const clock = new FakeClock()
    const own = new RedisStorage({ url: redisUrl, prefix, clock })
    await own.collection('notes').set('a', 1, { ttlMs: 1_000 })
    await own.collection('notes').set('gone', 1, { ttlMs: 1_000 })
    await own.collection('notes').set('a', 2)
    await clock.advance(3_602_000)
    expect(await own.collection('notes').count()).toBe(1)
    await own.collection('other').set('a', 1)
    await expect.poll(() => command('HEXISTS', `${prefix}/records/notes`, 'gone')).toBe(0)
    expect(await own.collection('notes').get('a')).toBe(2)
    expect((await own.check()).problems).toEqual([])
    await own.stop()
  })

  it('leaves nothing of a collection whose records were deleted or cleared', async () => {
    for (const name of ['deleted', 'cleared', 'filled']) await storage.collection(name).set('a', 1, { ttlMs: 60_000 })
    await storage.collection('deleted').delete('a')
    await storage.collection('cleared').clear()
    await storage.batch([
      { type: 'clear', collection: 'filled' },
      { type: 'set', collection: 'filled', key: 'b', value: 1 },
    ])
    expect(await storage.collections()).toEqual(['filled'])
    for (const name of ['deleted', 'cleared']) {
      expect(await command('EXISTS', ...new RedisKeys(prefix).of(name))).toBe(0)
    }
    expect((await storage.check()).problems).toEqual([])
  })

  it('takes no records for its own that belong to another store', async () => {
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    await command('HSET', `${prefix}/records/notes`, '', 'other')
    const refused = { ...NOT_APPLIED, message: expect.stringMatching(/holds another store \(other\)/) as string }
    const scan = (): Promise<unknown> => notes.scan()[Symbol.asyncIterator]().next()
    for (const ask of [() => notes.get('a'), scan, () => notes.count(), () => notes.set('b', 1)]) {
      await expect(ask()).rejects.toMatchObject(refused)
    }
  })

  it('is told of changes, rather than finding them by looking now and then', async () => {
    // This clock stands still, so nobody looks now and then.
    const still = new RedisStorage({ url: redisUrl, prefix, clock: new FakeClock() })
    const watch = still.collection('notes').watch()[Symbol.asyncIterator]()
    await watch.next()
    const next = watch.next()
    await expect.poll(() => still.metrics().gauges['redis.subscribed']).toBe(1)
    await storage.collection('notes').set('a', 1)
    expect(await next).toMatchObject({ value: { type: 'set', key: 'a' } })
    await still.stop()
  })

  it('refuses a database that the server does not have, rather than use another', async () => {
    const url = new URL(redisUrl)
    url.pathname = '/999999'
    const lost = new RedisStorage({ url: url.href, prefix })
    await expect(lost.start()).rejects.toThrow(/DB index is out of range|invalid DB index/)
    await lost.stop()
  })

  it('counts by prefix beside many expired records, and scans past them', async () => {
    const clock = new FakeClock()
    const own = new RedisStorage({ url: redisUrl, prefix, clock })
    const notes = own.collection<number>('notes')
    await notes.setMany(
      Array.from({ length: 6_000 }, (_, i) => [`a:${i}`, i]),
      { ttlMs: 1_000 },
    )
    await notes.setMany([
      ['a:x', 1],
      ['b:x', 2],
    ])
    await clock.advance(1_000)
    expect(await notes.count({ prefix: 'a:' })).toBe(1)
    expect(await notes.count()).toBe(2)
    for (const reverse of [false, true]) {
      const keys: string[] = []
      for await (const { key } of notes.scan({ reverse })) keys.push(key)
      expect(keys).toEqual(reverse ? ['b:x', 'a:x'] : ['a:x', 'b:x'])
    }
    await own.stop()
  })

  it('refuses what a newer version wrote, naming both', async () => {
    await storage.start()
    await storage.stop()
    await command('HSET', `${prefix}/meta`, 'format', 2)
    await expect(storage.start()).rejects.toMatchObject({ code: 'STORAGE_FORMAT', found: '2', supported: '1' })
  })

  it.each<[string, (key: (kind: string) => string) => [string, ...(string | number)[]], RegExp]>([
    [
      'a record without its place in the index',
      (key) => ['ZREM', key('index'), 'a'],
      /"a" in "notes" is not in the index/,
    ],
    ['an index without its record', (key) => ['ZADD', key('index'), 0, 'x'], /"x" in "notes" is in the index, but/],
    ['an expiry without its record', (key) => ['ZADD', key('expiry'), 1, 'x'], /"x" in "notes" is to expire, but/],
    ['a wrong expiry', (key) => ['ZADD', key('expiry'), 1, 'a'], /"a" in "notes" expires at another time/],
    ['what is no record', (key) => ['HSET', key('records'), 'a', 'x'], /"a" in "notes" is no record/],
    ['what is no JSON', (key) => ['HSET', key('records'), 'a', 'v\n\n{'], /"a" in "notes" is not JSON/],
  ])('finds damage: %s', async (_, damage, problem) => {
    await storage.collection('notes').set('a', 1)
    await command(...damage((kind) => `${prefix}/${kind}/notes`))
    const { ok, problems } = await storage.check()
    expect(ok).toBe(false)
    expect(problems).toEqual([expect.stringMatching(problem) as string])
  })

  it('rejects rather than reads or overwrites what is no record', async () => {
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    await command('HSET', `${prefix}/records/notes`, 'a', 'x')
    await expect(notes.get('a')).rejects.toMatchObject({ code: 'STORAGE_CORRUPT', applied: 'no' })
    await expect(notes.set('a', 2, { ifAbsent: true })).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      applied: 'no',
    })
    await expect(notes.scan()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' })
  })

  it('keeps a version that holds anything', async () => {
    for (const version of ['a\nb', '\\n', '"', '']) {
      await storage.batch([{ type: 'set', collection: 'notes', key: 'a', value: 1, version }])
      expect((await storage.collection('notes').entry('a'))?.version).toBe(version)
      await storage.collection('notes').set('a', 2, { ifVersion: version })
      await expect(storage.collection('notes').set('a', 3, { ifVersion: version })).rejects.toMatchObject({
        code: 'STORAGE_CONFLICT',
      })
    }
  })

  it('commits a batch that is too long for the stack of a call', async () => {
    const entries = Array.from({ length: 50_000 }, (_, i): [string, number] => [`k${i}`, i])
    await storage.collection('notes').setMany(entries)
    expect(await storage.collection('notes').count()).toBe(50_000)
  })

  it('says what an acknowledged write is worth', async () => {
    expect((await storage.health()).reason).toMatch(/takes reads and writes\. An acknowledged write is /)
  })
})

describe('RedisStorage without a server', () => {
  it('names the command when ioredis is not installed', async () => {
    const loader = Module as unknown as { _resolveFilename: (request: string, ...rest: unknown[]) => string }
    const resolve = loader._resolveFilename
    loader._resolveFilename = (request, ...rest) => {
      if (request === 'ioredis') throw new Error('Cannot find module')
      return resolve.call(Module, request, ...rest)
    }
    try {
      const storage = new RedisStorage({ url: 'redis://127.0.0.1:1' })
      await expect(storage.start()).rejects.toMatchObject({
        code: 'STORAGE_DRIVER',
        message: expect.stringMatching(/npm install ioredis$/) as string,
      })
      await storage.stop()
    } finally {
      loader._resolveFilename = resolve
    }
  })

  it.each<[RedisStorageOptions, RegExp]>([
    [{}, /needs a url or a client/],
    [{ url: 'redis://a', client: { status: '', duplicate: () => undefined } }, /needs a url or a client/],
    [{ client: {} as never }, /client must be a Redis or a Cluster/],
    [{ client: { status: '', duplicate: () => undefined }, password: 'p' }, /password and tls belong to url/],
    [{ url: 'http://a' }, /url must look like redis:/],
    [{ url: 'redis://a', password: 7 as never }, /password must be/],
    [{ url: 'redis://a', prefix: '' }, /prefix must be/],
    [{ url: 'redis://a', timeoutMs: 0 }, /timeoutMs must be/],
    [{ url: 'redis://a', connectTimeoutMs: NaN }, /connectTimeoutMs must be/],
    [{ url: 'redis://a', keepChanges: 1.5 }, /keepChanges must be/],
    [{ url: 'redis://a', ttl: 1 } as never, /has no option ttl/],
  ])('refuses %o at once', (options, why) => {
    expect(() => new RedisStorage(options)).toThrow(why)
  })

  it.each([
    ['{bot}', true],
    ['prod:{bot}', true],
    ['bot', false],
    ['{}bot', false],
    ['}bot{', false],
    ['{}{bot}', false],
  ])('knows whether %s has a hash tag', (prefix, has) => {
    expect(hasHashTag(new RedisKeys(prefix).prefix)).toBe(has)
  })

  it.each(['', 'v', 'v\n', 'v\n\n', '\n\n1', 'v\nx\n1'])(
    'reads %j as a record or as none, and never throws',
    (text) => {
      const record = unpackRecord(text)
      if (record !== undefined) expect(packRecord(record)).toBe(text)
    },
  )

  it.each([
    ['aof_enabled:0', undefined, /appendonly no/],
    ['aof_enabled:1', 'everysec', /within about a second/],
    ['aof_enabled:1', 'no', /when its system sees fit/],
    ['aof_enabled:1', undefined, /not known/],
    ['', undefined, /not known/],
  ])('says how safe a write is: %s %s', (info, appendFsync, said) => {
    expect(durabilityOf(readFacts(info, ['appendfsync', appendFsync]))).toMatch(said)
  })
})
