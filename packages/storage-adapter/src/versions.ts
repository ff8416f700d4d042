import { randomBytes } from 'node:crypto'

/** The source that made a version. */
export function originOf(version: string): string {
  return version.slice(0, version.indexOf('.'))
}

/**
 * Makes versions that are unique everywhere: a random part for this source, and a count.
 *
 * They are made by the process, not by the database, so that one write has the same version on the primary, in its
 * mirror, in a journal and after the replay.
 */
export class VersionSource {
  /** What all of them begin with, up to the first dot. */
  readonly origin: string = randomBytes(9).toString('base64url')
  #count = 0

  /** A version that nobody has had before. */
  next(): string {
    return `${this.origin}.${(++this.#count).toString(36)}`
  }
}
