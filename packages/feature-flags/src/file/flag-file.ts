import { watch } from 'node:fs'
import type { FlagFeed, FlagSource } from '../sources.js'
import { FileFollower } from './file-follower.js'
import { checkFlagFile, type FlagFileOptions, type FlagFileSettings } from './flag-file-options.js'
import type { WatchDirectory } from './path-watch.js'

/**
 * Flags from a JSON or YAML file, which may be changed while the bot runs.
 *
 * @remarks
 * A change is in force some milliseconds after it is written, also when the file is replaced by renaming another one, or
 * is a mounted ConfigMap of Kubernetes. What cannot be used - torn, empty, gone, against the rules - is told once with
 * its line, and the last good document stays.
 *
 * *Gotchas*: A YAML text that was cut short may be valid, and then its last flags are missing. Replace such a file by
 * renaming, which is never seen half done. The last good document is not kept across a restart: `start()` rejects when
 * the file cannot be used.
 *
 * @param path - ends in .json, .yaml or .yml; YAML needs the package yaml (`npm install yaml`)
 * @param options - see {@link FlagFileOptions}
 * @throws TypeError for another extension, and for what is no option
 * @throws RangeError for a limit out of its range
 *
 * @example
 * ```ts
 * import { FeatureFlags } from '@evenkeel/feature-flags'
 * import { flagFile } from '@evenkeel/feature-flags/file'
 * import { mkdir, writeFile } from 'node:fs/promises'
 *
 * await mkdir('data', { recursive: true })
 * await writeFile('data/flags.json', '{ "flags": { "newSearch": { "percentage": 25 } } }')
 * const flags = new FeatureFlags({ flags: { newSearch: {} }, sources: [flagFile('data/flags.json')] })
 * await flags.start()
 * console.log(flags.status('newSearch').percentage) // => 25
 * await flags.stop()
 * ```
 */
export function flagFile(path: string, options: FlagFileOptions = {}): FlagSource {
  return new FlagFile(checkFlagFile(path, options), watch)
}

/** See {@link flagFile}. */
export class FlagFile implements FlagSource {
  readonly name: string
  readonly #settings: FlagFileSettings
  readonly #watchDirectory: WatchDirectory
  #run: { readonly feed: FlagFeed; readonly follower: FileFollower; readonly started: Promise<void> } | undefined

  constructor(settings: FlagFileSettings, watchDirectory: WatchDirectory) {
    this.name = settings.path
    this.#settings = settings
    this.#watchDirectory = watchDirectory
  }

  async start(feed: FlagFeed): Promise<void> {
    if (this.#run !== undefined) {
      if (this.#run.feed === feed) return this.#run.started
      throw new TypeError(
        `flagFile(${JSON.stringify(this.name)}) serves another FeatureFlags already; make one for each`,
      )
    }
    const follower = new FileFollower(this.#settings, this.#watchDirectory, feed)
    const run = { feed, follower, started: follower.start() }
    this.#run = run
    try {
      await run.started
    } catch (error) {
      follower.stop()
      if (this.#run === run) this.#run = undefined
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#run?.follower.stop()
    this.#run = undefined
  }
}
