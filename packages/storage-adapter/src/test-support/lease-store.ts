import type { Storage } from '../storage.js'

/** The storages that several processes may share, each opened by the address that all of them are given. */
const SHARED = {
  async sqlite(path: string): Promise<Storage> {
    const { SqliteStorage } = await import('../sqlite.js')
    return new SqliteStorage({ path })
  },
  async postgres(address: string): Promise<Storage> {
    const { PostgresStorage } = await import('../postgres.js')
    const [url = '', schema = ''] = address.split(' ')
    return new PostgresStorage({ url, schema })
  },
  async redis(address: string): Promise<Storage> {
    const { RedisStorage } = await import('../redis.js')
    const [url = '', prefix = ''] = address.split(' ')
    return new RedisStorage({ url, prefix })
  },
}

/** Their names. */
export type Shared = keyof typeof SHARED

/** Opens one in a process of its own. */
export function openShared(kind: Shared, address: string): Promise<Storage> {
  return SHARED[kind](address)
}
