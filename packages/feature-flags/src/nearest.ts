/** Up to three of the known names that a misspelt one may have meant, nearest first. */
export function nearest(name: string, known: Iterable<string>): string[] {
  const near: { name: string; distance: number }[] = []
  for (const candidate of known) {
    const limit = Math.max(2, Math.floor(candidate.length / 3))
    // A difference in length is the least that two texts can differ by, and spares comparing a hostile one.
    if (Math.abs(candidate.length - name.length) > limit) continue
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance <= limit) near.push({ name: candidate, distance })
  }
  return near
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map((candidate) => candidate.name)
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The end of an error message: what may have been meant. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const names = nearest(name, known).map((candidate) => JSON.stringify(candidate))
  return names.length === 0 ? '' : `; did you mean ${names.join(' or ')}?`
}
