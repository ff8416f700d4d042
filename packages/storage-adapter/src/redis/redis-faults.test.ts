import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { translateRedisError } from './redis-errors.js'
import { RedisStorage, type RedisStorageOptions } from '../redis.js'
import type { Notice } from '../storage.js'
import { FrozenProxy } from '../test-support/frozen-proxy.js'
import { describeOwnRedis } from '../test-support/redis-describe.js'
import { ioredisPackages, OwnRedis, redisClient, redisCluster } from '../test-support/redis-server.js'

const GONE = { code: 'STORAGE_UNAVAILABLE' }
/** Long enough for a busy machine, short enough to be waited for. */
const IMPATIENT = { timeoutMs: 500, connectTimeoutMs: 500 }
const NOT_APPLIED = { ...GONE, applied: 'no' }

/** Sends a write that the server holds back, and cuts the connection. */
async function cutOff(cut: RedisStorage, paused: OwnRedis): Promise<unknown> {
  // The first write of a connection waits for a trial.
  await cut.collection('notes').set('before', 1)
  await paused.admin('CLIENT', 'PAUSE', '2000', 'WRITE')
  const write = cut.collection('notes').set('cut', 1)
  const outcome = write.catch((error: unknown) => error)
  await expect.poll(() => paused.admin('CLIENT', 'LIST')).toMatch(/flags=b .*cmd=evalsha/)
  await paused.admin('CLIENT', 'KILL', 'TYPE', 'normal')
  await paused.admin('CLIENT', 'UNPAUSE')
  return outcome
}

function refuseAllBut(code: string): (error: unknown) => void {
  return (error) => expect(error).toMatchObject({ code, applied: 'no' })
}

describeOwnRedis('RedisStorage on a server that fails', () => {
  let server: OwnRedis
  let storage: RedisStorage
  const news: string[] = []

  beforeEach(async () => {
    server = await OwnRedis.start()
    storage = open()
  })
  afterEach(async () => {
    await storage.stop()
    await server[Symbol.asyncDispose]()
  })

  function open(options: RedisStorageOptions = {}): RedisStorage {
    const opened = new RedisStorage({ url: server.url, ...options })
    news.length = 0
    opened.on('change', ({ from, to }) => news.push(`${from} ${to}`))
    return opened
  }
  const notes = () => storage.collection<number>('notes')

  /** Everything that can be asked of a storage. */
  const questions: Record<string, () => Promise<unknown>> = {
    get: () => notes().get('a'),
    entry: () => notes().entry('a'),
    getMany: () => notes().getMany(['a', 'b']),
    has: () => notes().has('a'),
    count: () => notes().count(),
    scan: () => notes().scan()[Symbol.asyncIterator]().next(),
    collections: () => storage.collections(),
    changes: () => storage.changes(),
    check: () => storage.check(),
    watch: () => notes().watch()[Symbol.asyncIterator]().next(),
    health: () => storage.health(),
  }
  const changes: Record<string, () => Promise<unknown>> = {
    set: () => notes().set('a', 2),
    setMany: () => notes().setMany([['a', 2]]),
    delete: () => notes().delete('a'),
    clear: () => notes().clear(),
    batch: () => storage.batch([{ type: 'set', collection: 'notes', key: 'a', value: 2 }]),
  }
  const reading: Record<string, () => Promise<unknown>> = {
    update: () => notes().update('a', (n) => n + 1),
    compareAndSet: () => notes().compareAndSet('a', undefined, 2),
  }

  it('rejects everything at once while the server is down, and goes on by itself when it is back', async () => {
    await notes().set('a', 1)
    const lost = once(storage, 'change')
    await server.kill()
    await lost
    for (const [name, ask] of Object.entries({ ...questions, ...changes, ...reading })) {
      await expect(ask(), name).rejects.toMatchObject(NOT_APPLIED)
    }
    await server.restart()
    expect(await notes().get('a')).toBe(1)
    await notes().set('a', 3)
    expect(news).toEqual(['up down', 'down up'])
  })

  it('gives up on a frozen server by its deadline, and goes on when it thaws', async () => {
    storage = open(IMPATIENT)
    await notes().set('a', 1)
    server.freeze()
    const asked = Object.entries({ ...questions, ...changes }).map(async ([name, ask]) => {
      const applied = name in changes ? 'unknown' : 'no'
      await expect(ask(), name).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT', applied, timeoutMs: 500 })
    })
    const down = once(storage, 'change')
    await Promise.all(asked)
    await down
    const stuck = expect(notes().set('b', 1)).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT', applied: 'unknown' })
    await stuck
    server.thaw()
    // What was sent before is done before: nothing that was given up comes after this.
    await notes().set('b', 2)
    expect(await notes().get('b')).toBe(2)
    const ours = async () => String(await server.admin('CLIENT', 'LIST')).match(/name=evenkeel/g)?.length
    await expect.poll(ours).toBe(1)
    expect(storage.metrics().gauges['redis.connects']).toBe(1)
    expect(news).toEqual(['up down', 'down up'])
  })

  it('says that a write is unknown when the server dies with it, and that a read is not', async () => {
    const patient = open()
    // The first write of a connection waits for a trial.
    await patient.collection('notes').set('before', 1)
    server.freeze()
    const write = expect(patient.collection('notes').set('a', 1)).rejects.toMatchObject({ ...GONE, applied: 'unknown' })
    const read = expect(patient.collection('notes').get('a')).rejects.toMatchObject(NOT_APPLIED)
    await server.kill()
    await Promise.all([write, read])
    await patient.stop()
  })

  it('replaces a connection that died without a word, while the server answers others', async () => {
    await using proxy = await FrozenProxy.start(server.port)
    const behind = open({ ...IMPATIENT, url: `redis://127.0.0.1:${proxy.port}` })
    await behind.collection('notes').set('a', 1)
    proxy.freezeConnections()
    await expect(behind.collection('notes').set('a', 2)).rejects.toMatchObject({ applied: 'unknown' })
    await expect.poll(() => behind.metrics().gauges['redis.connects']).toBe(2)
    expect(await behind.collection('notes').get('a')).toBe(1)
    expect(news).toEqual([])
    await behind.stop()
  })

  it('makes nothing of a connection that the server closes while nothing is asked', async () => {
    await notes().set('a', 1)
    await server.admin('CLIENT', 'KILL', 'TYPE', 'normal')
    await expect.poll(() => storage.metrics().gauges).toMatchObject({ 'redis.connected': 1, 'redis.connects': 2 })
    expect(await notes().get('a')).toBe(1)
    expect(news).toEqual([])
  })

  it('goes on when the server has forgotten the scripts', async () => {
    await notes().set('a', 1)
    await server.admin('SCRIPT', 'FLUSH')
    await Promise.all([notes().set('b', 2), notes().set('c', 3), notes().count()])
    expect(await notes().count()).toBe(3)
  })

  it('forgets the scripts now and then while many writes are on their way, keeps the order of those of one key', async () => {
    // Two processes: what one of them makes the server know again, the other one finds known in between.
    const other = open()
    const processes = [storage, other].map((each) => ({ numbers: each.collection<number>('n'), acknowledged: [-1] }))
    for (const [key, { numbers }] of processes.entries()) await numbers.set(`${key}`, -1)
    const outcomes: Promise<unknown>[] = []
    for (let n = 0; n < 3_000; n++) {
      for (const [key, { numbers, acknowledged }] of processes.entries()) {
        outcomes.push(numbers.set(`${key}`, n).then(() => acknowledged.push(n), refuseAllBut('STORAGE_BUSY')))
      }
      if (n % 50 === 0) outcomes.push(server.admin('SCRIPT', 'FLUSH'))
      if (n % 5 === 0) await new Promise(setImmediate)
    }
    await Promise.all(outcomes)
    for (const [key, { numbers, acknowledged }] of processes.entries()) {
      expect(await numbers.get(`${key}`)).toBe(Math.max(...acknowledged))
    }
    await other.stop()
  })

  it('misses no change when its subscription is killed', { timeout: 15_000 }, async () => {
    const writer = open()
    const watch = notes().watch()[Symbol.asyncIterator]()
    await watch.next()
    await expect.poll(() => storage.metrics().gauges['redis.subscribed']).toBe(1)
    await server.admin('CLIENT', 'KILL', 'TYPE', 'pubsub')
    const expected = Array.from({ length: 100 }, (_, i) => `k${i}`)
    for (const key of expected) await writer.collection('notes').set(key, 1)
    const seen = new Set<string>()
    while (seen.size < 100) {
      const { value } = (await watch.next()) as { value: Notice<number> }
      if (value.type === 'set') seen.add(value.key)
    }
    expect([...seen].sort()).toEqual(expected.sort())
    await expect.poll(() => storage.metrics().gauges['redis.subscribed'], { timeout: 5_000 }).toBe(1)
    await watch.return?.()
    await expect.poll(() => storage.metrics().gauges['redis.subscribed']).toBe(0)
    await writer.stop()
  })

  it('goes on watching when the server comes back', { timeout: 15_000 }, async () => {
    const watch = notes().watch()[Symbol.asyncIterator]()
    const start = (await watch.next()) as { value: Notice<number> }
    expect(start.value.type).toBe('reset')
    await server.kill()
    await server.restart()
    const writer = open()
    await writer.collection('notes').set('a', 1)
    expect(await watch.next()).toMatchObject({ value: { type: 'set', key: 'a', value: 1 } })
    await watch.return?.()
    await writer.stop()
  })

  it('never sends a write again that was cut off', async () => {
    expect(await cutOff(storage, server)).toMatchObject({ ...GONE, applied: 'unknown' })
    expect(await notes().has('cut')).toBe(false)
  })

  it('looks at the server behind a connection that it had to replace', async () => {
    await notes().set('a', 1)
    await server.admin('SWAPDB', '0', '1')
    const told = once(storage, 'change')
    await server.admin('CLIENT', 'KILL', 'TYPE', 'normal')
    expect(await told).toMatchObject({ to: 'down', message: expect.stringMatching(/was emptied/) as string })
  })

  describe('and was emptied', () => {
    const EMPTIED = {
      ...NOT_APPLIED,
      message: expect.stringMatching(/was emptied.*restore it from a backup/) as string,
    }

    it('reports nothing as absent, writes nothing, and goes on when the store is back', async () => {
      await notes().set('a', 1)
      await storage.collection('other').set('a', 1)
      await server.admin('SWAPDB', '0', '1')
      for (const [name, ask] of Object.entries({ ...questions, ...changes, ...reading })) {
        await expect(ask(), name).rejects.toMatchObject(EMPTIED)
      }
      expect(await server.admin('DBSIZE')).toBe(0)
      await server.admin('SWAPDB', '0', '1')
      expect(await notes().get('a')).toBe(1)
      expect(news).toEqual(['up down', 'down up'])
    })

    it('notices it too when the server was restarted without its data', async () => {
      await notes().set('a', 1)
      await server.kill()
      await server.wipe()
      await server.restart()
      await expect(notes().get('a')).rejects.toMatchObject(NOT_APPLIED)
      await expect(notes().set('b', 1)).rejects.toMatchObject(EMPTIED)
    })

    it('goes on with what is there when it is stopped and started, and cursors begin anew', async () => {
      await notes().set('a', 1)
      const { cursor } = await storage.changes()
      await server.admin('FLUSHALL')
      await expect(notes().get('a')).rejects.toMatchObject(EMPTIED)
      await storage.stop()
      await storage.start()
      expect(await notes().get('a')).toBeUndefined()
      await notes().set('b', 1)
      expect(await storage.changes({ since: cursor })).toMatchObject({ changes: [], isReset: true })
    })

    it('takes another store in its place for what it is', async () => {
      await notes().set('a', 1)
      await server.admin('FLUSHALL')
      const other = open()
      await other.collection('notes').set('a', 2)
      const refused = { ...NOT_APPLIED, message: expect.stringMatching(/holds another store/) as string }
      for (const [name, ask] of Object.entries({ ...questions, ...changes, ...reading })) {
        await expect(ask(), name).rejects.toMatchObject(refused)
      }
      expect(await other.collection('notes').get('a')).toBe(2)
      await other.stop()
    })
  })

  it('rejects writes of a full server as not applied, reads on, and says when it takes writes again', async () => {
    await notes().set('a', 1)
    await server.admin('CONFIG', 'SET', 'maxmemory', '1')
    await expect(notes().set('b', 2)).rejects.toMatchObject({
      ...NOT_APPLIED,
      message: expect.stringMatching(/memory is full; raise maxmemory/) as string,
    })
    await expect(storage.health()).rejects.toMatchObject(NOT_APPLIED)
    expect(await notes().get('a')).toBe(1)
    expect(news).toEqual(['up down'])
    await server.admin('CONFIG', 'SET', 'maxmemory', '0')
    expect((await storage.health()).status).toBe('up')
    expect(await notes().has('b')).toBe(false)
    expect(news).toEqual(['up down', 'down up'])
  })

  it('refuses a server that drops records when its memory is full, naming the policy and the remedy', async () => {
    await server.admin('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    await expect(storage.start()).rejects.toMatchObject({
      ...NOT_APPLIED,
      message: expect.stringMatching(/maxmemory-policy allkeys-lru.*set maxmemory-policy noeviction/) as string,
    })
    // It drops only keys with a TTL, and there are none.
    await server.admin('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru')
    expect((await storage.health()).status).toBe('up')
    await server.admin('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random')
    await expect(storage.health()).rejects.toThrow(/allkeys-random/)
  })

  it('refuses a replica', async () => {
    await server.admin('REPLICAOF', '127.0.0.1', '1')
    await expect(storage.start()).rejects.toThrow(/is a replica, which takes no writes/)
  })

  it('rejects writes when its server becomes a replica', async () => {
    await notes().set('a', 1)
    await server.admin('REPLICAOF', '127.0.0.1', '1')
    await expect(notes().set('b', 2)).rejects.toMatchObject({
      ...NOT_APPLIED,
      message: expect.stringMatching(/connect to its primary/) as string,
    })
  })

  it('leaves the connection to a server that became a replica, and looks for the primary at the next use', async () => {
    await notes().set('a', 1)
    await server.admin('REPLICAOF', '127.0.0.1', '1')
    await expect(notes().set('b', 2)).rejects.toMatchObject(NOT_APPLIED)
    await server.admin('REPLICAOF', 'NO', 'ONE')
    await notes().set('b', 3)
    expect(await notes().get('b')).toBe(3)
    expect(storage.metrics().gauges['redis.connects']).toBe(2)
  })

  it('names the server once, and none of its driver, in what is told of it', async () => {
    await notes().set('a', 1)
    const told: string[] = []
    storage.on('change', ({ message }) => told.push(message))
    const lost = once(storage, 'change')
    await server.kill()
    await lost
    for (const message of told) expect(message.match(/Redis at/g)).toHaveLength(1)
    await expect(notes().set('a', 1)).rejects.toThrow(/^(?!.*(closed|writeable))Redis at .* is out of reach: /)
  })

  it('says that an acknowledged write is on the disk where it is', async () => {
    expect((await storage.health()).reason).toMatch(/on its disk \(appendfsync always\)/)
  })

  it('says that it is degraded where it may not ask how safe records are', async () => {
    await server.admin('ACL', 'SETUSER', 'bot', 'on', '>pw', '~*', '&*', '+@all', '-@admin', '-info', '-config')
    const bot = open({ url: `redis://bot:pw@127.0.0.1:${server.port}` })
    expect(await bot.health()).toMatchObject({ status: 'degraded', reason: expect.stringMatching(/INFO/) as string })
    await bot.collection('notes').set('a', 1)
    await bot.stop()
  })

  it('writes as a user who may not publish', async () => {
    await server.admin('ACL', 'SETUSER', 'mute', 'on', '>pw', '~*', 'resetchannels', '+@all')
    const mute = open({ url: `redis://mute:pw@127.0.0.1:${server.port}` })
    await mute.collection('notes').set('a', 1)
    expect(await notes().get('a')).toBe(1)
    await mute.stop()
  })

  it('stops while the server is frozen or down', async () => {
    storage = open(IMPATIENT)
    await notes().set('a', 1)
    server.freeze()
    const write = expect(notes().set('a', 2)).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT' })
    await storage.stop()
    await write
    server.thaw()
    await storage.start()
    await server.kill()
    await storage.stop()
  })
})

describeOwnRedis('RedisStorage and passwords', () => {
  const SECRET = 'p4ss:w/rd'
  let server: OwnRedis

  beforeEach(async () => {
    server = await OwnRedis.start({ settings: ['--requirepass', SECRET], password: encodeURIComponent(SECRET) })
  })
  afterEach(() => server[Symbol.asyncDispose]())

  it('asks for the password at every new connection', async () => {
    let password = SECRET
    const asked: string[] = []
    const storage = new RedisStorage({
      url: `redis://127.0.0.1:${server.port}`,
      password: async () => {
        asked.push(password)
        return password
      },
    })
    await storage.collection('notes').set('a', 1)
    password = 'next'
    await server.admin('ACL', 'SETUSER', 'default', 'resetpass', '>next')
    const client = redisClient(`redis://:next@127.0.0.1:${server.port}`)
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal')
    client.disconnect()
    await expect.poll(() => storage.metrics().gauges['redis.connects']).toBe(2)
    expect(await storage.collection('notes').get('a')).toBe(1)
    expect(asked).toEqual([SECRET, 'next'])
    await storage.stop()
  })

  it('gives up on a password that does not come', async () => {
    const password = (): Promise<string> => new Promise(() => undefined)
    const storage = new RedisStorage({ url: `redis://127.0.0.1:${server.port}`, password, connectTimeoutMs: 50 })
    await expect(storage.start()).rejects.toMatchObject(NOT_APPLIED)
    await storage.stop()
  })

  it('makes no connection with a password that comes too late', async () => {
    let come = (_: string): void => undefined
    const password = (): Promise<string> => new Promise((resolve) => (come = resolve))
    const storage = new RedisStorage({ url: `redis://127.0.0.1:${server.port}`, password, connectTimeoutMs: 50 })
    await expect(storage.start()).rejects.toMatchObject(NOT_APPLIED)
    const connections = async () => /connections_received:(\d+)/.exec(String(await server.admin('INFO', 'stats')))?.[1]
    const before = Number(await connections())
    come(SECRET)
    // Those that ask are connections too.
    expect(Number(await connections())).toBe(before + 1)
    expect(Number(await connections())).toBe(before + 2)
    await storage.stop()
  })

  it.each([
    ['Connection is closed.', 'no', 'Redis is out of reach: the connection was lost'],
    [
      "Stream isn't writeable and enableOfflineQueue options is false",
      'no',
      'Redis is out of reach: the connection was lost',
    ],
    ['Failed to refresh slots cache.', 'unknown', 'Redis is out of reach: no server of it answers'],
    ['connect ECONNREFUSED 127.0.0.1:1', 'unknown', 'Redis is out of reach: connect ECONNREFUSED 127.0.0.1:1'],
  ] as const)('says plainly what its driver calls: %s', (said, applied, told) => {
    const failed = { label: 'Redis', secret: undefined, onLoss: applied, reason: undefined }
    expect(translateRedisError(new Error(said), failed)).toMatchObject({ message: told, applied })
  })

  it('takes it out of what a server says', () => {
    const failed = { label: 'Redis', secret: SECRET, onLoss: 'no', reason: undefined } as const
    const { message } = translateRedisError(new Error(`ERR unknown command, with args ${SECRET}`), failed)
    expect(message).toBe('Redis is out of reach: ERR unknown command, with args ***')
  })

  it('never tells it, nor what was written: not in an error, its causes, or an event', async () => {
    const told: unknown[] = []
    const fail = async (options: RedisStorageOptions): Promise<void> => {
      const storage = new RedisStorage({ ...IMPATIENT, ...options })
      storage.on('change', (event) => told.push(event))
      await storage
        .collection('notes')
        .set('a', 'private words')
        .catch((error: unknown) => told.push(error))
      await storage.health().catch((error: unknown) => told.push(error))
      told.push(storage)
      await storage.stop()
    }
    const url = `redis://127.0.0.1:${server.port}`
    const secret = `${SECRET}-wrong`
    const withSecret = `redis://:${encodeURIComponent(secret)}@127.0.0.1:${server.port}`
    await fail({ url: withSecret })
    await fail({ url, password: secret })
    await fail({ url, password: () => secret })
    await fail({ url })
    const client = redisClient(withSecret)
    await fail({ client })
    await server.admin('CONFIG', 'SET', 'maxmemory', '1')
    await fail({ url, password: SECRET })
    await server.kill()
    await fail({ url: withSecret })
    for (const url of [`http://:${secret}@host`, `redis://:${secret}@host:port`, secret]) {
      try {
        new RedisStorage({ url })
      } catch (error) {
        told.push(error)
      }
    }
    const text = inspect(told, {
      depth: Infinity,
      showHidden: true,
      maxStringLength: Infinity,
      maxArrayLength: Infinity,
    })
    expect(told.length).toBeGreaterThan(20)
    for (const said of ['does not accept the user or the password', 'wants a password', 'memory is full']) {
      expect(text.includes(said), said).toBe(true)
    }
    for (const hidden of [SECRET, encodeURIComponent(SECRET), 'private words']) {
      expect(text.includes(hidden), hidden).toBe(false)
    }
  })
})

describeOwnRedis('RedisStorage whose user may not give every command', () => {
  it.each(['xadd', 'xtrim', 'hdel', 'zrem', 'unlink'])('writes nothing at all without %s', async (command) => {
    await using server = await OwnRedis.start()
    const full = new RedisStorage({ url: server.url })
    await full.collection('notes').set('before', 1)
    await server.admin('ACL', 'SETUSER', 'bot', 'on', '>words', '~*', '&*', '+@all', `-${command}`)
    const bot = new RedisStorage({ url: server.url.replace('redis://', 'redis://bot:words@') })
    const operations = ['a', 'b'].map((key) => ({ type: 'set', collection: 'notes', key, value: 1 }) as const)
    await expect(bot.batch(operations)).rejects.toMatchObject({ ...NOT_APPLIED })
    await expect(bot.health()).rejects.toMatchObject(GONE)
    expect(await bot.collection('notes').get('before')).toBe(1)
    expect((await full.collection('notes').getMany(['a', 'b'])).size).toBe(0)
    await Promise.all([full.stop(), bot.stop()])
  })
})

describeOwnRedis('RedisStorage on a cluster', () => {
  it('needs a hash tag in its prefix, and then works', { timeout: 15_000 }, async () => {
    await using server = await OwnRedis.start({
      settings: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
    })
    await server.admin('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await expect.poll(() => server.admin('CLUSTER', 'INFO'), { timeout: 5_000 }).toMatch('cluster_state:ok')
    for (const name of ioredisPackages) {
      const client = redisCluster(server.url, name)
      expect(() => new RedisStorage({ client, prefix: 'evenkeel' })).toThrow(/has no hash tag/)
      const storage = new RedisStorage({ client, prefix: `{${name}}` })
      const notes = storage.collection<number>('notes')
      const watch = notes.watch()[Symbol.asyncIterator]()
      await watch.next()
      await Promise.all(Array.from({ length: 20 }, () => notes.update('n', (n) => n + 1, { initial: 0 })))
      expect(await notes.get('n')).toBe(20)
      expect(await watch.next()).toMatchObject({ value: { type: 'set', key: 'n' } })
      expect((await storage.health()).status).toBe('up')
      expect(await cutOff(storage, server)).toMatchObject({ ...GONE, applied: 'unknown' })
      expect(await notes.has('cut')).toBe(false)
      await storage.stop()
      client.disconnect()
    }
  })
})

/** The next news. */
function once(storage: RedisStorage, event: 'change'): Promise<unknown> {
  return new Promise((resolve) => storage.once(event, resolve))
}
