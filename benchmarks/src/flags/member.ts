import { FeatureFlags, type BooleanFlag } from '@evenkeel/feature-flags'
import { flagFile } from '@evenkeel/feature-flags/file'
import { RedisStorage } from '@evenkeel/storage-adapter/redis'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { forEachFlag } from './asked-flag.js'
import type { Meeting } from './follower.js'

/** The flags of one process of several, and what ends them. */
interface Member {
  readonly flags: FeatureFlags<Record<string, BooleanFlag>>
  stop(): Promise<void>
}

/** Begins to follow what others change. */
export async function meet({ over, at }: Meeting): Promise<Member> {
  const storage = over === 'sqlite' || over === 'redis' ? storageAt(over, at) : undefined
  const flag: BooleanFlag = { percentage: 25 }
  const flags = new FeatureFlags({
    flags: forEachFlag(() => flag),
    environment: {},
    ...(storage === undefined ? { sources: [flagFile(at)] } : { store: storage.collection('flags') }),
  })
  await flags.start()
  return {
    flags,
    async stop() {
      await flags.stop()
      await storage?.stop()
    },
  }
}

function storageAt(over: 'sqlite' | 'redis', at: string): SqliteStorage | RedisStorage {
  return over === 'sqlite'
    ? new SqliteStorage({ path: at })
    : new RedisStorage({ url: at, prefix: '{evenkeel-bench-flags}' })
}
