import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, it } from 'vitest'
import { storageContract } from '../contract.js'
import { SqliteStorage } from '../sqlite.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'

let directory: string
let count = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-contract-'))
})
afterAll(() => rm(directory, { recursive: true }))

storageContract(
  {
    name: 'SqliteStorage that others share',
    create: (clock) => new SqliteStorage({ path: join(directory, `${++count}.db`), clock }),
    reopen: (clock) => new SqliteStorage({ path: join(directory, `${count}.db`), clock }),
    join: (clock) => new SqliteStorage({ path: join(directory, `${count}.db`), clock }),
  },
  { describe: describeSqlite, it },
)
