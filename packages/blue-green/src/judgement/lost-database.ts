import type { Clock } from '../ports.js'
import type { Side } from './window.js'

/** For so long is compared what began at the same time. */
const lastsMs = 60_000
/** So many guilds of the old version must have been served meanwhile, or nobody knows whether it would fail too. */
const leastOnBlue = 3
/** The chance that those who fail are all on green, if green is no worse. */
const maxChance = 1e-4
/** So many guilds of each version are looked at; more are a fair sample already. */
const maxGuilds = 20_000

/**
 * The catastrophe of a new version that has lost its database while the old one has not. From the first connection that fails, for a
 * minute: in how many guilds of green that happens, of those that are served, and whether in any of blue. One of blue says that
 * the database is out for both.
 *
 * @remarks
 * Who is on green is drawn by a hash. So if green is no worse, any of the guilds are as likely to be those that fail, and the
 * chance that all of them are on green is the one of Fisher's exact test (1934).
 */
export class LostDatabase {
  readonly #clock: Clock
  readonly #maxFailingGuilds: number
  #began: { readonly atMs: number; isOnBlue: boolean } | undefined
  readonly #failed = new Set<string>()
  readonly #green = new Set<string>()
  readonly #blue = new Set<string>()

  /** @param maxFailingGuilds - more than so many must fail, whatever the chance */
  constructor(clock: Clock, maxFailingGuilds: number) {
    this.#clock = clock
    this.#maxFailingGuilds = maxFailingGuilds
  }

  /** A call has ended. @returns why green is to be taken back, if it is */
  served(side: Side, unitId: string): string | undefined {
    if (this.#began === undefined || this.#isOver()) return undefined
    const served = side === 'green' ? this.#green : this.#blue
    if (served.size < maxGuilds) served.add(unitId)
    return this.#verdict()
  }

  /** No connection could be had. @returns why green is to be taken back, if it is */
  failed(side: Side, unitId: string): string | undefined {
    if (this.#began === undefined || this.#isOver()) this.#begin()
    if (side === 'blue') this.#began = { atMs: this.#began?.atMs ?? 0, isOnBlue: true }
    else if (this.#green.size < maxGuilds) {
      this.#green.add(unitId)
      this.#failed.add(unitId)
    }
    return this.#verdict()
  }

  /** Who is on which version is another matter from now on. */
  forget(): void {
    this.#began = undefined
    for (const each of [this.#failed, this.#green, this.#blue]) each.clear()
  }

  #begin(): void {
    this.forget()
    this.#began = { atMs: this.#clock.monotonic(), isOnBlue: false }
  }

  #isOver(): boolean {
    return this.#began !== undefined && this.#clock.monotonic() - this.#began.atMs > lastsMs
  }

  #verdict(): string | undefined {
    const [failed, green, blue] = [this.#failed.size, this.#green.size, this.#blue.size]
    if (this.#began?.isOnBlue !== false || failed <= this.#maxFailingGuilds || blue < leastOnBlue) return undefined
    // Where most are served it is not lost; what fails now and then is judged with the rest.
    if (2 * failed < green) return undefined
    let chance = 1
    for (let each = 0; each < failed && chance >= maxChance; each++) chance *= (green - each) / (green + blue - each)
    if (chance >= maxChance) return undefined
    return `it does not reach its database in ${failed} of ${green} guilds, while the old version does in all of ${blue}`
  }
}
