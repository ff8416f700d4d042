import type { Storage } from '../storage.js'

interface Told {
  /** The value that was acknowledged last; `undefined` for a delete, or when nothing was. */
  acknowledged: unknown
  /** Later writes, of which nobody was told that they are done or not. */
  possible: { readonly value: unknown }[]
}

/**
 * Remembers what a storage said about each write, and asks whether that is true.
 *
 * Every write is a batch that puts the same value under the same key of two collections, so that half of one shows.
 */
export class ToldWrites {
  readonly #told = new Map<string, Told>()
  /** How many acknowledged writes were looked for. */
  checked = 0

  /**
   * Writes, or deletes when the value is `undefined`. Never rejects.
   *
   * @param isDead - whether the process is gone: what it is told then, nobody hears
   */
  async write(
    storage: Storage,
    writes: readonly (readonly [key: string, value: unknown])[],
    isDead: () => boolean,
  ): Promise<void> {
    const begun = writes.map(([key, value]) => {
      const told = this.#of(key)
      const write = { value }
      told.possible.push(write)
      return { told, write }
    })
    const operations = writes.flatMap(([key, value]) =>
      ['notes', 'twins'].map((collection) =>
        value === undefined
          ? { type: 'delete' as const, collection, key }
          : { type: 'set' as const, collection, key, value },
      ),
    )
    try {
      await storage.batch(operations)
    } catch (error) {
      if (isDead() || (error as { applied?: unknown }).applied !== 'no') return
      // It must stay away from then on.
      for (const { told, write } of begun) told.possible = told.possible.filter((each) => each !== write)
      return
    }
    if (isDead()) return
    for (const { told, write } of begun) {
      told.acknowledged = write.value
      // Writes of one key are made one after another, so those before it are covered by it.
      told.possible = told.possible.slice(told.possible.indexOf(write) + 1)
    }
  }

  /**
   * What is not as was said, each as a sentence.
   *
   * @param isFinal - what is found stays: it counts as acknowledged from now on
   */
  async verify(storage: Storage, isFinal = true): Promise<string[]> {
    const wrong: string[] = []
    for (const [key, told] of this.#told) {
      const [value, twin] = await Promise.all(['notes', 'twins'].map((name) => storage.collection(name).get(key)))
      if (told.acknowledged !== undefined) this.checked++
      const possible = [told.acknowledged, ...told.possible.map((write) => write.value)].map((each) =>
        JSON.stringify(each),
      )
      if (!possible.includes(JSON.stringify(value))) {
        const say = (each: unknown): string => JSON.stringify(each)?.slice(0, 40) ?? 'absent'
        wrong.push(
          `${key} should be ${say(told.acknowledged)} or one of ${told.possible.length} later ones, not ${say(value)}`,
        )
      }
      if (JSON.stringify(twin) !== JSON.stringify(value)) wrong.push(`${key} was written by half`)
      if (!isFinal) continue
      told.acknowledged = value
      told.possible = []
    }
    return wrong
  }

  #of(key: string): Told {
    let told = this.#told.get(key)
    if (told === undefined) this.#told.set(key, (told = { acknowledged: undefined, possible: [] }))
    return told
  }
}
