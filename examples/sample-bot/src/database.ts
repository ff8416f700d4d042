import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FileStorage, type Storage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { storageFromUrl } from '@evenkeel/storage-adapter/url'

/** Where the bot keeps what it must not forget. */
export interface Database {
  /** In words, for people. */
  readonly kind: string
  /** Its file, or its directory; `undefined` when an address says where it is, which may hold a password. */
  readonly path: string | undefined
  readonly storage: Storage
}

/**
 * Opens what the address names, such as `postgres://bot@db.example/bot`. Without one it opens SQLite where the machine has
 * it (Node 22, or better-sqlite3), and else the file backend.
 */
export async function openDatabase(directory: string, url?: string): Promise<Database> {
  if (url !== undefined) {
    return { kind: `the ${url.split(':', 1)[0]} storage of STORAGE_URL`, path: undefined, storage: storageFromUrl(url) }
  }
  await mkdir(directory, { recursive: true })
  const path = join(directory, 'bot.db')
  const storage = new SqliteStorage({ path })
  try {
    await storage.start()
  } catch (error) {
    if ((error as { code?: unknown }).code === 'STORAGE_DRIVER') {
      const files = join(directory, 'bot')
      return {
        kind: 'files, since this machine has no SQLite for Node',
        path: files,
        storage: new FileStorage({ path: files }),
      }
    }
    // Broken or out of reach: the fail-over around it knows what to do.
  }
  return { kind: 'SQLite', path, storage }
}
