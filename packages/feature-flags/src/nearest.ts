/** Up to three of the known names that a misspelt one may have meant, nearest first. */
export function nearest(name: string, known: Iterable<string>): string[] {
  const sought = name.toLowerCase()
  const near: { name: string; distance: number }[] = []
  // What is no nearer than the third is not shown, so it need not be compared to its end.
  let worst = Infinity
  for (const candidate of known) {
    const limit = Math.min(worst, Math.max(2, Math.floor(candidate.length / 3)))
    // A difference in length is the least that two texts can differ by, and spares comparing a hostile one.
    if (Math.abs(candidate.length - name.length) > limit) continue
    const distance = editDistance(sought, candidate.toLowerCase(), limit)
    if (distance > limit) continue
    near.push({ name: candidate, distance })
    near.sort((a, b) => a.distance - b.distance)
    if (near.length > 3) near.pop()
    if (near.length === 3) worst = (near[2]?.distance ?? 0) - 1
  }
  return near.map((candidate) => candidate.name)
}

/**
 * Levenshtein's distance, one row at a time, and only as much of each row as can lie within the limit.
 *
 * @returns more than the limit when it is more; not by how much
 */
function editDistance(a: string, b: string, limit: number): number {
  const tooFar = limit + 1
  const row: number[] = []
  for (let j = 0; j <= b.length; j++) row.push(Math.min(j, tooFar))
  for (let i = 1; i <= a.length; i++) {
    const from = Math.max(1, i - limit)
    const to = Math.min(b.length, i + limit)
    const letter = a.charCodeAt(i - 1)
    // What stands left of the part that counts is too far, but for the first column.
    let diagonal = row[from - 1] as number
    let left = from === 1 ? Math.min(i, tooFar) : tooFar
    row[from - 1] = left
    let least = left
    for (let j = from; j <= to; j++) {
      const above = row[j] as number
      const replaced = diagonal + (letter === b.charCodeAt(j - 1) ? 0 : 1)
      left = Math.min(replaced, above + 1, left + 1, tooFar)
      row[j] = left
      least = Math.min(least, left)
      diagonal = above
    }
    if (least > limit) return tooFar
  }
  return row[b.length] as number
}

/** The end of an error message: what may have been meant. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const names = nearest(name, known).map((candidate) => JSON.stringify(candidate))
  return names.length === 0 ? '' : `; did you mean ${names.join(' or ')}?`
}
