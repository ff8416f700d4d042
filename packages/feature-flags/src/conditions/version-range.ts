import { compareVersions, isVersion } from './version.js'

/** A range of versions, ready to be asked. */
export interface VersionRange {
  /** A version lies within the range when it keeps all bounds of one of these. */
  readonly alternatives: readonly (readonly Bound[])[]
}

interface Bound {
  readonly operator: '=' | '>' | '>=' | '<' | '<='
  readonly version: string
}

/** A version of which the last parts may be open. */
interface OpenVersion {
  readonly major: number
  readonly minor: number | undefined
  readonly patch: number | undefined
  /** With its hyphen; empty without one. */
  readonly preRelease: string
}

type Operator = Bound['operator'] | '^' | '~'

const maxLength = 1_000
const comparator: RegExp =
  /^(>=|<=|[><=^~])?v?(\d+|[xX*])(?:\.(\d+|[xX*])(?:\.(\d+|[xX*])(-[\dA-Za-z.-]+)?(?:\+[\dA-Za-z.-]+)?)?)?$/

/** Below every pre-release of the same numbers, and so the true beginning of an open range. */
const lowest = '-0'

/**
 * Reads a range such as `>=1.4.0 <2.0.0 || 3.x`. Ranges mean what npm means by them, except that pre-releases count by
 * their precedence alone.
 *
 * @throws SyntaxError with what is wrong and what to write instead
 */
export function parseVersionRange(text: string): VersionRange {
  if (text.length > maxLength) throw new SyntaxError(`a range has at most 1,000 characters, not ${text.length}`)
  return { alternatives: text.split('||').map(parseAlternative) }
}

/** Whether a text is a version within the range. Allocates nothing. */
export function isWithin(range: VersionRange, version: string): boolean {
  if (!isVersion(version)) return false
  const { alternatives } = range
  for (let i = 0; i < alternatives.length; i++) {
    if (keepsAll(alternatives[i] as readonly Bound[], version)) return true
  }
  return false
}

function keepsAll(bounds: readonly Bound[], version: string): boolean {
  for (let i = 0; i < bounds.length; i++) {
    const bound = bounds[i] as Bound
    if (!keeps(bound, compareVersions(version, bound.version))) return false
  }
  return true
}

function keeps({ operator }: Bound, order: number): boolean {
  switch (operator) {
    case '=':
      return order === 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    case '<':
      return order < 0
    case '<=':
      return order <= 0
  }
}

function parseAlternative(text: string): readonly Bound[] {
  const parts = text
    .trim()
    .replace(/([><=^~])\s+/g, '$1')
    .split(/\s+/)
  if (parts[0] === '')
    throw new SyntaxError('there is nothing on one side of "||", or nothing at all; write "*" for any version')
  return parts.flatMap(parseComparator)
}

function parseComparator(text: string): Bound[] {
  if (text === '-')
    throw new SyntaxError('a range from one version to another is written ">=1.2.0 <=2.3.0", not with "-"')
  const found = comparator.exec(text)
  if (found === null)
    throw new SyntaxError(`${JSON.stringify(text)} is no version or bound such as ">=1.4.0", "^1.4" or "3.x"`)
  const operator = (found[1] ?? '=') as Operator
  const [major, minor, patch] = [found[2], found[3], found[4]].map((part) => partNumber(text, part))
  if ((major === undefined && minor !== undefined) || (minor === undefined && patch !== undefined)) {
    throw new SyntaxError(`in ${JSON.stringify(text)} a number follows a part that is open`)
  }
  const preRelease = found[5] ?? ''
  if (patch === undefined && preRelease !== '') {
    throw new SyntaxError(`in ${JSON.stringify(text)} a pre-release follows a part that is open`)
  }
  if (major === undefined) {
    if (operator === '>' || operator === '<') throw new SyntaxError(`no version lies within ${JSON.stringify(text)}`)
    return []
  }
  if (!isVersion(`0.0.0${preRelease}`)) {
    throw new SyntaxError(
      `in ${JSON.stringify(text)} the pre-release has an empty part, or a number that begins with 0`,
    )
  }
  return boundsOf(operator, { major, minor, patch, preRelease })
}

function partNumber(text: string, part: string | undefined): number | undefined {
  if (part === undefined || /^[xX*]$/.test(part)) return undefined
  const number = Number(part)
  if (String(number) === part && Number.isSafeInteger(number + 1)) return number
  throw new SyntaxError(`in ${JSON.stringify(text)} the number ${part} begins with 0 or is too large`)
}

function boundsOf(operator: Operator, open: OpenVersion): Bound[] {
  const isOpen = open.patch === undefined
  const first = firstOf(open)
  switch (operator) {
    case '=':
      return isOpen ? [{ operator: '>=', version: first }, below(nextOf(open))] : [{ operator, version: first }]
    case '>':
      return isOpen ? [{ operator: '>=', version: nextOf(open) }] : [{ operator, version: first }]
    case '<=':
      return isOpen ? [below(nextOf(open))] : [{ operator, version: first }]
    case '>=':
    case '<':
      return [{ operator, version: first }]
    case '~':
      return [{ operator: '>=', version: first }, below(nextOf({ ...open, patch: undefined }))]
    case '^':
      return [{ operator: '>=', version: first }, below(nextBreaking(open))]
  }
}

function below(version: string): Bound {
  return { operator: '<', version }
}

/** The first version that an open one stands for. */
function firstOf({ major, minor = 0, patch, preRelease }: OpenVersion): string {
  return `${major}.${minor}.${patch ?? 0}${patch === undefined ? lowest : preRelease}`
}

/** The first version after all that an open one stands for. */
function nextOf({ major, minor, patch }: OpenVersion): string {
  if (minor === undefined) return `${major + 1}.0.0${lowest}`
  if (patch === undefined) return `${major}.${minor + 1}.0${lowest}`
  return `${major}.${minor}.${patch + 1}${lowest}`
}

/** The first version that may break what works with this one: the next of its leftmost number that is not 0. */
function nextBreaking(open: OpenVersion): string {
  const { major, minor } = open
  if (major > 0 || minor === undefined) return nextOf({ ...open, minor: undefined })
  if (minor > 0) return nextOf({ ...open, patch: undefined })
  return nextOf(open)
}
