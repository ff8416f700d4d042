/**
 * Names fields: the collection, then the fields, joined by dots; `*` stands for any one of them, also for the places of a list.
 * `'settings.locale'`, `'guilds.features.*'`; the collection alone names its keys. A list of names where a name has a dot in it.
 */
export type FieldPattern = string | readonly string[]

/** @throws TypeError that names the option */
export function readPatterns(
  name: string,
  patterns: readonly FieldPattern[] = [],
): (path: readonly string[]) => boolean {
  if (!Array.isArray(patterns)) throw new TypeError(`${name} must be a list of fields such as 'settings.locale'`)
  const split = (patterns as readonly FieldPattern[]).map((pattern) => {
    const parts = typeof pattern === 'string' ? pattern.split('.') : pattern
    const isFine =
      Array.isArray(parts) && parts.length > 0 && parts.every((part) => typeof part === 'string' && part !== '')
    if (!isFine)
      throw new TypeError(`${name} must name fields such as 'settings.locale', not ${JSON.stringify(pattern)}`)
    return parts as readonly string[]
  })
  return (path) =>
    split.some((parts) => parts.length === path.length && parts.every((part, i) => part === '*' || part === path[i]))
}
