/** Ranges of code points, each as its first and its last; ascending, apart from one another. */
export type Characters = readonly number[]

const last = 0x10ffff

/** Sorted, and joined where they touch or overlap. */
export function union(...sets: readonly Characters[]): Characters {
  const ranges: [number, number][] = []
  for (const set of sets) for (let i = 0; i < set.length; i += 2) ranges.push([set[i] as number, set[i + 1] as number])
  ranges.sort((a, b) => a[0] - b[0])
  const joined: number[] = []
  for (const [from, to] of ranges) {
    const end = joined.at(-1)
    if (end !== undefined && from <= end + 1) joined[joined.length - 1] = Math.max(end, to)
    else joined.push(from, to)
  }
  return joined
}

/** All code points that are not in the set. */
export function complement(set: Characters): Characters {
  const others: number[] = []
  let from = 0
  for (let i = 0; i < set.length; i += 2) {
    if (from < (set[i] as number)) others.push(from, (set[i] as number) - 1)
    from = (set[i + 1] as number) + 1
  }
  if (from <= last) others.push(from, last)
  return others
}

/** Whether a code point is in the set. */
export function has(set: Characters, codePoint: number): boolean {
  for (let i = 0; i < set.length; i += 2) {
    if (codePoint < (set[i] as number)) return false
    if (codePoint <= (set[i + 1] as number)) return true
  }
  return false
}

const digit: Characters = [0x30, 0x39]
const word: Characters = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a]
// White space and line ends as ECMAScript has them.
const space: Characters = [
  0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f,
  0x3000, 0x3000, 0xfeff, 0xfeff,
]
const lineEnd: Characters = [0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029]

/** What `.` stands for. */
export const dot: Characters = complement(lineEnd)

/** What `\d` and the like stand for, by the letter. */
export const named: ReadonlyMap<string, Characters> = new Map([
  ['d', digit],
  ['D', complement(digit)],
  ['w', word],
  ['W', complement(word)],
  ['s', space],
  ['S', complement(space)],
])
