import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  CheckFailedError,
  diskSpaceCheck,
  environmentCheck,
  fromHealthCheck,
  identifyBudgetCheck,
  pathsCheck,
  permissionsCheck,
  type PreparationCheck,
  storageCheck,
} from '../preparation.js'

const context = { signal: new AbortController().signal }

/** What a check says: what it found, or what is in the way. */
async function said(check: PreparationCheck): Promise<string> {
  try {
    const { ok, why } = await check(context)
    return `${ok}: ${why}`
  } catch (error) {
    expect(error).toMatchObject({ code: 'CHECK_FAILED', retryable: true, applied: 'no', name: 'CheckFailedError' })
    expect(error).toBeInstanceOf(CheckFailedError)
    return (error as Error).message
  }
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-checks-'))
})
afterEach(() => {
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true })
})

describe('environmentCheck', () => {
  it('names every variable that is missing, empty or strange, and tells no value', async () => {
    const values = { TOKEN: 'hunter2', EMPTY: '', FINE: 'x' }
    const check = environmentCheck({ TOKEN: /^\w{50,}$/g, EMPTY: true, GONE: true, FINE: /x/g }, values)
    for (let look = 0; look < 2; look++) {
      expect(await said(check)).toBe('TOKEN does not look as it should; EMPTY is empty; GONE is missing')
    }
  })

  it('does not take what every object has for a variable', async () => {
    expect(await said(environmentCheck({ constructor: true as never }, {}))).toBe('constructor is missing')
  })

  it('reads the environment of the process when it is asked, not before', async () => {
    const check = environmentCheck({ EVENKEEL_TEST_OF_CHECKS: true })
    process.env['EVENKEEL_TEST_OF_CHECKS'] = 'yes'
    try {
      expect(await said(check)).toBe('true: 1 variables are as they should be')
    } finally {
      delete process.env['EVENKEEL_TEST_OF_CHECKS']
    }
  })

  it('refuses rules that are none', () => {
    expect(() => environmentCheck({})).toThrow('name at least one variable')
    expect(() => environmentCheck({ A: false as never })).toThrow('A must be true or a pattern, not a boolean')
  })
})

describe('storageCheck', () => {
  it('writes, reads back and deletes one record of a real database', async () => {
    const storage = new SqliteStorage({ path: join(folder, 'bot.db') })
    const collection = storage.collection<string>('evenkeel')
    expect(await said(storageCheck(collection))).toBe('true: what was written was read back and deleted')
    expect(await collection.count()).toBe(0)
    await storage.stop()
  })

  it.each([
    ['forgets', { get: () => undefined }, 'what was written was not read back, but nothing'],
    ['mixes up', { get: () => 'other' }, 'what was written was not read back, but something else'],
    ['does not delete', { delete: () => false }, /^the probe evenkeel-probe:.* could not be deleted$/],
  ])('sees a storage that %s', async (_, fault, why) => {
    const map = new Map<string, string>()
    const whole = {
      get: (key: string) => map.get(key),
      set: (key: string, value: string) => map.set(key, value),
      delete: (key: string) => map.delete(key),
    }
    expect(await said(storageCheck({ ...whole, ...fault }))).toMatch(why)
  })

  it('tells the first failure, and deletes what a failed write may have left', async () => {
    const map = new Map<string, string>()
    const set = (key: string, value: string): Promise<void> => {
      map.set(key, value)
      return Promise.reject(new Error('the answer was lost'))
    }
    const check = storageCheck({ set, get: (key) => map.get(key), delete: (key) => map.delete(key) })
    await expect(check(context)).rejects.toThrow('the answer was lost')
    expect(map.size).toBe(0)
  })

  it('writes nothing when its time was up before', async () => {
    const map = new Map<string, string>()
    const aborted = { signal: AbortSignal.abort(new Error('too late')) }
    await expect(
      storageCheck({ get: () => 1, set: (k, v) => map.set(k, v), delete: () => 1 })(aborted),
    ).rejects.toThrow('too late')
    expect(map.size).toBe(0)
  })

  it('refuses what is no collection', () => {
    expect(() => storageCheck({ get: () => 1 } as never)).toThrow('collection.set must be a function')
  })
})

describe('pathsCheck', () => {
  it('really writes into a folder, and leaves nothing behind', async () => {
    writeFileSync(join(folder, 'config.json'), '{}')
    const check = pathsCheck({ read: [join(folder, 'config.json')], write: [folder, join(folder, 'config.json')] })
    expect(await said(check)).toBe('true: 1 can be read, 2 can be written')
    expect(readdirSync(folder)).toEqual(['config.json'])
    expect(readFileSync(join(folder, 'config.json'), 'utf8')).toBe('{}')
  })

  it('names everything that cannot be done', async () => {
    const check = pathsCheck({ read: [join(folder, 'a')], write: [join(folder, 'b')] })
    expect(await said(check)).toBe(`${folder}/a cannot be read (ENOENT); ${folder}/b cannot be written (ENOENT)`)
  })

  it.skipIf(process.getuid?.() === 0)('sees that a folder may not be written', async () => {
    chmodSync(folder, 0o500)
    expect(await said(pathsCheck({ write: [folder] }))).toBe(`${folder} cannot be written (EACCES)`)
  })

  it.each([[{}], [{ read: [''] }], [{ write: 'data' }], [{ writes: ['data'] }]])('refuses %j', (rules) => {
    expect(() => pathsCheck(rules as never)).toThrow(TypeError)
  })
})

it('permissionsCheck names what is not granted', async () => {
  expect(await said(permissionsCheck(() => ['SendMessages', 'ManageRoles']))).toBe(
    'not granted: SendMessages, ManageRoles',
  )
  expect(await said(permissionsCheck(async () => []))).toBe('true: everything is granted that is needed')
  expect(await said(permissionsCheck(() => undefined))).toBe('the bot is not a member there')
  expect(await said(permissionsCheck(() => 7 as never))).toBe('a list of what is missing was expected, not 7')
  expect(() => permissionsCheck([] as never)).toThrow('give a function')
})

describe('diskSpaceCheck', () => {
  it('asks the disk', async () => {
    expect(await said(diskSpaceCheck(folder, { minFreeBytes: 1 }))).toMatch(/^true: [\d,.]+ MB are free at /)
    expect(await said(diskSpaceCheck(folder, { minFreeBytes: 1e18 }))).toMatch(
      /free at .*, less than 1,000,000,000,000 MB$/,
    )
  })

  it.each([[0], [-1], [NaN], [Infinity]])('refuses to need %s bytes', (minFreeBytes) => {
    expect(() => diskSpaceCheck(folder, { minFreeBytes })).toThrow(RangeError)
  })

  it('tells of a disk that is not there', async () => {
    await expect(diskSpaceCheck(join(folder, 'none'), { minFreeBytes: 1 })(context)).rejects.toThrow('ENOENT')
    expect(existsSync(join(folder, 'none'))).toBe(false)
  })
})

describe('identifyBudgetCheck', () => {
  const limit = (remaining: number) => ({ total: 1_000, remaining, reset_after: 3_600_000, max_concurrency: 1 })

  it.each([
    [40, 50, 130, 1],
    [40, 50, 129, 'refused'],
    [40, 50, 290, 3],
    [1, 0, 2, 1],
    [1, 0, 1, 'refused'],
    [1, 0, 0, 'refused'],
  ])('of %i shards with %i in reserve and %i left allows %s', async (shards, reserve, remaining, deploysLeft) => {
    const check = identifyBudgetCheck(async () => ({ session_start_limit: limit(remaining) }), { shards, reserve })
    const answer = await check(context).catch((error: unknown) => error)
    if (deploysLeft === 'refused') {
      expect(answer).toBeInstanceOf(CheckFailedError)
      expect((answer as Error).message).toContain(
        `${remaining} identifies are left, and ${shards * 2 + reserve} are needed`,
      )
      expect((answer as Error).message).toContain('wait 60 minutes')
    } else expect(answer).toMatchObject({ ok: true, deploysLeft, remaining, resetAfterMs: 3_600_000 })
  })

  it('says how long identifying takes, by what Discord allows at once', async () => {
    const answer = { ...limit(1_000), max_concurrency: 16 }
    const { identifyMs } = await identifyBudgetCheck(async () => answer, { shards: 40 })(context)
    expect(identifyMs).toBe(15_000)
  })

  it('asks over HTTP', async () => {
    const server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ url: request.url, shards: 2, session_start_limit: limit(998) }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    try {
      const ask = async (signal: AbortSignal): Promise<unknown> =>
        (await fetch(`http://127.0.0.1:${port}/gateway/bot`, { signal })).json()
      expect(await identifyBudgetCheck(ask, { shards: 2 })(context)).toMatchObject({ remaining: 998, deploysLeft: 237 })
    } finally {
      server.close()
    }
  })

  it.each([[null], [{}], [{ session_start_limit: { remaining: '5' } }], [{ ...limit(9), max_concurrency: 0 }]])(
    'does not go on with the answer %j',
    async (answer) => {
      await expect(identifyBudgetCheck(async () => answer, { shards: 1 })(context)).rejects.toThrow(
        'the answer of Discord',
      )
    },
  )

  it('refuses options that are none', () => {
    expect(() => identifyBudgetCheck(async () => ({}), { shards: 0 })).toThrow('shards must be a whole number from 1')
    expect(() => identifyBudgetCheck(async () => ({}), { shards: 1, reserve: -1 })).toThrow('reserve')
    expect(() => identifyBudgetCheck({} as never, { shards: 1 })).toThrow('give a function')
  })
})

it.each([
  [undefined, 'true: up'],
  [true, 'true: up'],
  [false, 'it returned false'],
  [{ status: 'up', reason: 'fine' }, 'true: fine'],
  [{ status: 'up' }, 'true: up'],
  [{ status: 'down', reason: 'gone' }, 'down: gone'],
  [{ status: 'degraded' }, 'degraded: it does not say why'],
  ['ok', 'undefined: it does not say why'],
])('a check of health-monitor that says %j passes only when all is well', async (outcome, expected) => {
  expect(await said(fromHealthCheck(async () => outcome as never))).toBe(expected)
})
