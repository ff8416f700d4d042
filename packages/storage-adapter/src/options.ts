/**
 * Refuses a number that cannot be what it is meant to be.
 *
 * @throws RangeError naming the option and the value
 */
export function checkNumber(name: string, value: unknown, least: number): asserts value is number {
  if (typeof value !== 'number' || !(value >= least) || !Number.isFinite(value)) {
    throw new RangeError(`${name} must be a finite number of at least ${least}, not ${String(value)}`)
  }
}

/**
 * Refuses options that nobody reads, so that a misspelt one is noticed.
 *
 * @throws TypeError naming the option
 */
export function checkOptions(owner: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(`${owner} has no option ${name}; it has ${known.join(', ')}`)
  }
}

/**
 * The path of a database or of a directory.
 *
 * @throws TypeError when it is not a non-empty string
 */
export function checkPath(owner: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '') throw new TypeError(`${owner} needs a path, not ${String(path)}`)
}
