/** All options, none of them left out. */
export type Defaults<T> = { readonly [Name in keyof T]-?: Exclude<T[Name], undefined> }

/** @throws RangeError when it is no share */
export function checkIncrease(name: string, value: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`)
  if (value > 0 && Number.isFinite(value)) return value
  throw new RangeError(`${name} must be above 0, such as 0.2 for 20 % more, not ${value}`)
}
