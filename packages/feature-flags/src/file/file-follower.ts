import { resolve } from 'node:path'
import { FlagDocumentError } from '../document-error.js'
import type { FlagFeed } from '../sources.js'
import type { FlagFileSettings } from './flag-file-options.js'
import { parseText, withPlace } from './parse-text.js'
import { PathWatch, type WatchDirectory } from './path-watch.js'
import { type FileText, readTextFile, signatureAt } from './read-text-file.js'

/** How long a document may be refused before it is told: a writer may be in the middle of it. */
const GRACE_MS = 100

/**
 * How long a YAML text that changes in place must have stood still: a part of it may be valid. Replaced files and JSON,
 * of which no part is valid, are not waited for.
 */
const STILL_MS = 25

/** From one start of a file to its stop: reads it, judges what it reads, hands it over. */
export class FileFollower {
  readonly #settings: FlagFileSettings
  readonly #path: string
  readonly #feed: FlagFeed
  readonly #watch: PathWatch
  #isStopped = false
  #isLooking = false
  #looksAgain = false
  #cancelPoll: (() => void) | undefined
  #cancelRecheck: (() => void) | undefined
  /** Of the last reading. */
  #signature = ''
  /** A write within the same tick of the file system's clock has the same signature, so that one more poll reads. */
  #isFresh = true
  #seen: (FileText & { readonly sinceMs: number; readonly isInPlace: boolean }) | undefined
  #applied: string | undefined
  /** The text that was refused last, and why, so that it is not judged again. */
  #refused: { readonly text: string; readonly error: Error } | undefined
  #refusedSinceMs: number | undefined
  /** The problem that the feed was told and that has not ended. */
  #told: string | undefined

  constructor(settings: FlagFileSettings, watchDirectory: WatchDirectory, feed: FlagFeed) {
    this.#settings = settings
    // The working directory may change.
    this.#path = resolve(settings.path)
    this.#feed = feed
    this.#watch = new PathWatch(this.#path, watchDirectory, () => void this.#look())
  }

  /** @throws what is wrong with the document */
  async start(): Promise<void> {
    this.#isLooking = true
    // Watched first: what changes after the reading is noticed.
    await this.#watch.follow()
    const reading = await this.#read()
    const error = reading instanceof Error ? reading : await this.#apply(reading.text)
    if (this.#isStopped) {
      throw new FlagDocumentError('it was stopped before it was read', { source: this.#settings.path })
    }
    if (error !== undefined) throw error
    this.#isLooking = false
    this.#pollLater()
    if (this.#looksAgain) void this.#look()
  }

  stop(): void {
    this.#isStopped = true
    this.#watch.close()
    this.#cancelPoll?.()
    this.#cancelRecheck?.()
  }

  /** Reads what is there now; one reading at a time, and one more if there was news meanwhile. */
  async #look(): Promise<void> {
    this.#looksAgain = true
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      while (this.#looksAgain && !this.#isStopped) {
        this.#looksAgain = false
        await this.#take(await this.#read())
        // What changed before it was watched was not told.
        if (await this.#watch.follow()) this.#looksAgain = true
      }
    } finally {
      this.#isLooking = false
    }
  }

  #pollLater(): void {
    const { clock, pollMs } = this.#settings
    if (!this.#isStopped) this.#cancelPoll = clock.after(pollMs, () => void this.#poll())
  }

  async #poll(): Promise<void> {
    try {
      if ((await signatureAt(this.#path)) === this.#signature && !this.#isFresh && !this.#isLooking) {
        if (!(await this.#watch.follow())) return
      }
      this.#isFresh = false
      await this.#look()
    } finally {
      this.#pollLater()
    }
  }

  async #read(): Promise<FileText | Error> {
    const { clock, path, maxBytes } = this.#settings
    try {
      const reading = await readTextFile(this.#path, { maxBytes, source: path })
      this.#sign(reading.signature)
      if (reading.text !== this.#seen?.text) {
        const isInPlace = reading.identity === this.#seen?.identity
        this.#seen = { ...reading, isInPlace, sinceMs: clock.monotonic() }
      }
      return reading
    } catch (error) {
      this.#sign(await signatureAt(this.#path))
      return error as Error
    }
  }

  #sign(signature: string): void {
    if (signature !== this.#signature) this.#isFresh = true
    this.#signature = signature
  }

  async #take(reading: FileText | Error): Promise<void> {
    if (this.#isStopped) return
    if (reading instanceof Error) return this.#hesitate(reading)
    // After a problem that was told, the feed must hear that it is over.
    if (reading.text === this.#applied && this.#told === undefined) return this.#settle()
    if (reading.text === this.#refused?.text) return this.#hesitate(this.#refused.error)
    const waitMs = this.#stillnessMissing()
    if (waitMs > 0) return this.#recheckIn(waitMs)
    const error = await this.#apply(reading.text)
    if (error !== undefined && !this.#isStopped) this.#hesitate(error)
  }

  #stillnessMissing(): number {
    const { clock, format } = this.#settings
    if (format === 'json' || this.#seen?.isInPlace !== true) return 0
    return STILL_MS - (clock.monotonic() - this.#seen.sinceMs)
  }

  /** @returns what is wrong with it, if it cannot be applied */
  async #apply(text: string): Promise<Error | undefined> {
    const { format, path } = this.#settings
    try {
      const parsed = await parseText(text, format, path)
      if (this.#isStopped) return undefined
      try {
        this.#feed.apply(parsed.value)
      } catch (error) {
        throw withPlace(error, path, parsed)
      }
    } catch (error) {
      this.#refused = { text, error: error as Error }
      return error as Error
    }
    this.#applied = text
    this.#settle()
    return undefined
  }

  /** Tells of a problem that lasts. */
  #hesitate(error: Error): void {
    if (error.message === this.#told) return this.#settle(this.#told)
    const nowMs = this.#settings.clock.monotonic()
    this.#refusedSinceMs ??= nowMs
    const waitMs = this.#refusedSinceMs + GRACE_MS - nowMs
    if (waitMs > 0) return this.#recheckIn(waitMs)
    this.#settle(error.message)
    this.#feed.refuse(error)
  }

  #settle(told?: string): void {
    this.#told = told
    this.#refusedSinceMs = undefined
    if (told === undefined) this.#refused = undefined
    this.#cancelRecheck?.()
  }

  #recheckIn(waitMs: number): void {
    this.#cancelRecheck?.()
    if (!this.#isStopped) this.#cancelRecheck = this.#settings.clock.after(waitMs, () => void this.#look())
  }
}
