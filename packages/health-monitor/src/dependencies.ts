import type { ResolvedCheck } from './options.js'

/** What each check needs, at any depth: those that need nothing themselves come first. */
export type Requirements<Name extends string> = ReadonlyMap<Name, readonly Name[]>

/**
 * Follows `dependsOn` to the end.
 *
 * @throws TypeError when it names no check, runs in a circle, or lets a critical check depend on one that is not
 */
export function resolveDependencies<Name extends string>(
  checks: readonly (readonly [Name, ResolvedCheck<Name>])[],
): Requirements<Name> {
  const optionsOf = new Map(checks)
  const found = new Map<Name, readonly Name[]>()
  const path: Name[] = []

  const visit = (name: Name): readonly Name[] => {
    const known = found.get(name)
    if (known !== undefined) return known
    if (path.includes(name)) {
      const circle = [...path.slice(path.indexOf(name)), name].join(' -> ')
      throw new TypeError(`HealthMonitor: checks depend on one another in a circle: ${circle}; leave one of these out`)
    }
    path.push(name)
    const all = new Set<Name>()
    for (const parent of optionsOf.get(name)?.dependsOn ?? []) {
      requireParent(name, parent, optionsOf)
      for (const ancestor of visit(parent)) all.add(ancestor)
      all.add(parent)
    }
    path.pop()
    found.set(name, [...all])
    return [...all]
  }
  for (const [name] of checks) visit(name)
  return found
}

function requireParent<Name extends string>(
  name: Name,
  parent: Name,
  optionsOf: ReadonlyMap<Name, ResolvedCheck<Name>>,
): void {
  const where = `HealthMonitor: checks[${JSON.stringify(name)}].dependsOn`
  const options = optionsOf.get(parent)
  if (options === undefined) {
    const known = [...optionsOf.keys()].filter((other) => other !== name).join(', ') || 'no other'
    throw new TypeError(`${where} names ${JSON.stringify(parent)}, which is no check; there are: ${known}`)
  }
  if (optionsOf.get(name)?.critical === true && !options.critical) {
    throw new TypeError(
      `${where} names ${JSON.stringify(parent)}, which is not critical, though ${JSON.stringify(name)} is: ` +
        'without the first there is no second, so make both critical, or neither',
    )
  }
}
