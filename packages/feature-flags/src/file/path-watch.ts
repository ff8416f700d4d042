import type { FSWatcher } from 'node:fs'
import { concerns, watchPoints } from './path-steps.js'

/** `fs.watch`, as far as it is used. */
export type WatchDirectory = (
  directory: string,
  options: { readonly persistent: boolean },
  listener: (event: string, name: string | null) => void,
) => Pick<FSWatcher, 'close' | 'on'>

interface WatchedDirectory {
  readonly identity: string
  names: ReadonlySet<string>
  close: () => void
}

/**
 * Notices that a path may lead to something else. It watches directories and never a file, since what watches a file
 * goes on watching it after another one has taken its name.
 */
export class PathWatch {
  readonly #path: string
  readonly #watchDirectory: WatchDirectory
  readonly #notice: () => void
  readonly #watched = new Map<string, WatchedDirectory>()
  #isClosed = false

  /**
   * @param path - the file
   * @param watchDirectory - `fs.watch`
   * @param notice - called when the file may have changed
   */
  constructor(path: string, watchDirectory: WatchDirectory, notice: () => void) {
    this.#path = path
    this.#watchDirectory = watchDirectory
    this.#notice = notice
  }

  /**
   * Watches the directories that the way goes through now. What cannot be watched is left to polling.
   *
   * @returns whether one is watched that was not
   */
  async follow(): Promise<boolean> {
    const points = await watchPoints(this.#path)
    if (this.#isClosed) return false
    let isNew = false
    for (const [directory, watched] of this.#watched) {
      if (points.get(directory)?.identity !== watched.identity) this.#drop(directory)
    }
    for (const [directory, { identity, names }] of points) {
      const watched = this.#watched.get(directory)
      if (watched !== undefined) watched.names = names
      else if (this.#watch(directory, identity, names)) isNew = true
    }
    return isNew
  }

  close(): void {
    this.#isClosed = true
    for (const directory of [...this.#watched.keys()]) this.#drop(directory)
  }

  #watch(directory: string, identity: string, names: ReadonlySet<string>): boolean {
    const watched: WatchedDirectory = { identity, names, close: () => undefined }
    const isWatched = (): boolean => this.#watched.get(directory) === watched
    try {
      const watcher = this.#watchDirectory(directory, { persistent: false }, (_event, name) => {
        if (isWatched() && concerns(directory, watched.names, name)) this.#notice()
      })
      watched.close = () => watcher.close()
      watcher.on('error', () => {
        if (isWatched()) this.#drop(directory)
      })
      this.#watched.set(directory, watched)
      return true
    } catch {
      // No notification on this file system, or no more watches for this user: the next poll tries again.
      return false
    }
  }

  #drop(directory: string): void {
    this.#watched.get(directory)?.close()
    this.#watched.delete(directory)
  }
}
