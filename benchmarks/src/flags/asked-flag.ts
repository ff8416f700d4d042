import { snowflakes } from '../ids.js'

// What every library is asked: one flag of a hundred, on for 25 % of those whose tier is one of two.
export const asked = 'asked'
export const tiers: readonly string[] = ['gold', 'platinum']
export const percentage = 25

/** All flags of a library. They are alike, so that only their number counts. */
const flagNames: readonly string[] = [asked, ...Array.from({ length: 99 }, (_, index) => `flag${index}`)]

/** A guild that asks. */
export interface Asker {
  readonly id: string
  readonly tier: string
}

/** Guilds of which each has one of the tiers, so that its id is always hashed. */
export function askers(count: number): Asker[] {
  return snowflakes(count).map((id, index) => ({ id, tier: tiers[index % tiers.length] as string }))
}

/** The same for each flag. */
export function forEachFlag<T>(make: (name: string) => T): Record<string, T> {
  return Object.fromEntries(flagNames.map((name) => [name, make(name)]))
}

/** The next of many, over and over. */
export function turn<T>(all: readonly T[], i: number): T {
  return all[i % all.length] as T
}

/** Counts who was answered with yes: so that no loop is left out, and a library that says no to everyone is found. */
export class Answers {
  #asked = 0
  #yes = 0

  add(asked: number, yes: number): void {
    this.#asked += asked
    this.#yes += yes
  }

  /** @throws Error when the share of yes is not near the percentage: then something else was measured */
  check(name: string): void {
    const share = (this.#yes / this.#asked) * 100
    if (!(Math.abs(share - percentage) < 2)) throw new Error(`${name} says yes to ${share} %, not to ${percentage} %`)
  }
}
