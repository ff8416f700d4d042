import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { storageContract } from './contract.js'
import { FileStorage } from './file/file-storage.js'
import { FailoverStorage } from './failover/failover-storage.js'
import { MemoryStorage } from './memory-storage.js'
import type { Clock } from './ports.js'
import { SqliteStorage } from './sqlite.js'
import type { Storage } from './storage.js'
import { describeSqlite } from './test-support/sqlite-describe.js'

let directory: string
let count = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'evenkeel-contract-'))
})
afterAll(() => rm(directory, { recursive: true }))

storageContract({ name: 'MemoryStorage', create: (clock) => new MemoryStorage({ clock }) }, { describe, it })

storageContract(
  {
    name: 'FileStorage',
    create: (clock) => new FileStorage({ path: join(directory, `file-${++count}`), clock }),
    reopen: (clock) => new FileStorage({ path: join(directory, `file-${count}`), clock }),
  },
  { describe, it },
)

storageContract(
  {
    name: 'FileStorage that compacts all the time',
    create: (clock) => new FileStorage({ path: join(directory, `file-${++count}`), compactBytes: 1, clock }),
    reopen: (clock) => new FileStorage({ path: join(directory, `file-${count}`), clock }),
  },
  { describe, it },
)

storageContract(
  {
    name: 'FailoverStorage over SQLite',
    create: (clock) => failover(new SqliteStorage({ path: join(directory, `${++count}.db`), clock }), clock),
    reopen: (clock) => failover(new SqliteStorage({ path: join(directory, `${count}.db`), clock }), clock),
  },
  { describe: describeSqlite, it },
)

storageContract(
  {
    name: 'FailoverStorage over SQLite, one writer of many',
    create: (clock) => failover(new SqliteStorage({ path: join(directory, `${++count}.db`), clock }), clock, 'many'),
  },
  { describe: describeSqlite, it },
)

storageContract(
  {
    name: 'FailoverStorage over files',
    create: (clock) => failover(new FileStorage({ path: join(directory, `file-${++count}`), clock }), clock),
  },
  { describe, it },
)

function failover(primary: Storage, clock: Clock, writers: 'one' | 'many' = 'one'): FailoverStorage {
  // 16 MB take a busy machine longer than a bot would wait.
  return new FailoverStorage({ primary, path: join(directory, `failover-${count}`), writers, clock, timeoutMs: 30_000 })
}
