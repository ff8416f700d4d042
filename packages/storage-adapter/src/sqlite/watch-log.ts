import { watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { WatchLog } from './sqlite-hints.js'

/**
 * Tells when the write-ahead log of a database may have been written to, as far as the file system does. Its directory is
 * watched, for the log may be removed and made anew.
 */
export function watchLogOf(path: string): WatchLog {
  const name = `${basename(path)}-wal`
  return (onWrite) => {
    try {
      const watcher = watch(dirname(path), { persistent: false }, (_, file) => {
        if (file === name) onWrite()
      })
      // What cannot be watched is polled.
      watcher.on('error', () => watcher.close())
      return () => watcher.close()
    } catch {
      return () => undefined
    }
  }
}
