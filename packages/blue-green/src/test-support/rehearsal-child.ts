import { join } from 'node:path'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { botData, rehearse } from '../rehearsal.js'

// Rehearses in the folder that it is given, says when it is in the middle, and waits to be killed.

const folder = process.argv[2]!
await rehearse({
  folder,
  copy: (at) => new SqliteStorage({ path: join(at, 'copy.db') }),
  generate: botData({ guilds: 3, maxMembers: 5 }),
  migration: () => ({
    async up() {
      process.stdout.write('up\n')
      await new Promise(() => {})
    },
  }),
})
