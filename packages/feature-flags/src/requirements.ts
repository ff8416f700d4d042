import { didYouMean } from './nearest.js'

/** Flags require what is not there, or one another. */
export class RequirementError extends TypeError {
  /** The flags that it is about. */
  readonly flags: readonly string[]

  constructor(message: string, flags: readonly string[]) {
    super(message)
    this.flags = flags
  }
}

/**
 * Orders flags so that each comes after all that it requires. Visits each flag and each requirement once, without
 * recursion: a chain may be as long as it likes.
 *
 * @throws RequirementError when a flag requires one that is not there, or when a circle of flags require one another
 */
export function orderByRequirement(requires: ReadonlyMap<string, readonly string[]>): string[] {
  const ordered = new Set<string>()
  // The flags being visited, each with how many of its requirements have been looked at; a Map keeps their order.
  const path = new Map<string, number>()
  for (const start of requires.keys()) {
    if (ordered.has(start)) continue
    // Most are declared after what they require.
    if (requires.get(start)?.every((required) => ordered.has(required)) === true) {
      ordered.add(start)
      continue
    }
    const stack = [start]
    path.set(start, 0)
    for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
      const looked = path.get(name) ?? 0
      const required = requires.get(name)?.[looked]
      if (required === undefined) {
        stack.pop()
        path.delete(name)
        ordered.add(name)
        continue
      }
      path.set(name, looked + 1)
      if (ordered.has(required)) continue
      if (path.has(required)) {
        const circle = [...stack.slice(stack.indexOf(required)), required]
        throw new RequirementError(circleMessage(circle), circle)
      }
      if (!requires.has(required)) {
        const hint = didYouMean(required, requires.keys())
        throw new RequirementError(`Flag ${quote(name)} requires ${quote(required)}, which is not declared${hint}`, [
          name,
        ])
      }
      path.set(required, 0)
      stack.push(required)
    }
  }
  return [...ordered]
}

function circleMessage(circle: readonly string[]): string {
  const shown =
    circle.length <= 10
      ? circle.map(quote)
      : [...circle.slice(0, 6).map(quote), `${circle.length - 9} more`, ...circle.slice(-3).map(quote)]
  return `Flags require one another in a circle: ${shown.join(' -> ')}; remove one of these requirements`
}

function quote(name: string): string {
  return JSON.stringify(name)
}
