/** All options, none of them left out. */
export type Defaults<T> = { readonly [Name in keyof T]-?: Exclude<T[Name], undefined> }

/** @throws TypeError when it is no number, RangeError when it is not above 0 */
export function checkPositive(name: string, value: number, example: string): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`)
  if (value > 0 && Number.isFinite(value)) return value
  throw new RangeError(`${name} must be above 0, such as ${example}, not ${value}`)
}

/** @returns what is cared about, as a ratio: 1.2 for 20 % more */
export function toMaxRatio(maxIncrease: number): number {
  return 1 + checkPositive('maxIncrease', maxIncrease, '0.2 for 20 % more')
}
