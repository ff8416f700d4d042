import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedBy } from '../test-support/lease-story.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'

describeSqlite('processes that share a SQLite database', () => {
  sharedBy('sqlite', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'evenkeel-lease-'))
    return { address: join(directory, 'shared.db'), remove: () => rm(directory, { recursive: true }) }
  })
})
