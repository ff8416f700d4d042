import { serveVersion } from '../slots-workers.js'

/*
 * A version of which some guilds get an error in one window and some in the next:
 *
 *   judged-version-child <one call in so many fails>
 */
const oneIn = Number(process.argv[2])

/** An event of the tests. */
export interface Asked {
  readonly guildId: string
  readonly nth: number
}

serveVersion(({ guildId, nth }: Asked) => {
  // Of the guild and of how often it has called, so that it is not the same ones all the time.
  let mixed = nth * 7_919
  for (const char of guildId) mixed = (Math.imul(mixed, 31) + char.charCodeAt(0)) >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 0
  if ((mixed >>> 8) % oneIn === 0) throw new Error('no')
  return process.pid
})
