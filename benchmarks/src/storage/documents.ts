/** What the storage benchmarks write: a note of some 280 bytes of JSON. */
export interface Note {
  readonly text: string
  readonly done: boolean
  readonly revision: number
}

let revision = 0

/** Each is another one: SQLite does not write a page that has not changed. */
export function nextNote(): Note {
  return { text: 'a cup of tea, '.repeat(17), done: false, revision: ++revision }
}

/** As many keys as documents, like those of a bot: a guild and a number. */
export function makeKeys(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `81384788765712384:${String(index).padStart(6, '0')}`)
}

/** Walks through the keys with a large stride, so that neighbours in time are no neighbours on the disk. */
export function keyAt(keys: readonly string[], index: number): string {
  return keys[(index * 7_919) % keys.length] ?? ''
}

/** Calls `each` that often, one after another. */
export async function oneByOne(count: number, each: (index: number) => unknown): Promise<void> {
  for (let i = 0; i < count; i++) await each(i)
}

/** Calls `each` that often, so many at a time. */
export async function together(
  count: number,
  callers: number,
  each: (index: number) => Promise<unknown>,
): Promise<void> {
  for (let done = 0; done < count; done += callers) {
    await Promise.all(Array.from({ length: callers }, (_, caller) => each(done + caller)))
  }
}
