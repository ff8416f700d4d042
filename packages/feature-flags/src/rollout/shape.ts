/** The only format so far. A release that changes the shape of what is kept raises it and keeps reading the old one. */
export const FORMAT = 1

/** What each field of a record must be. */
export type Shape = Readonly<Record<string, (value: unknown) => boolean>>

/** The name of the first field that is missing or malformed. */
export function firstWrong(value: unknown, shape: Shape): string | undefined {
  const fields = value as Record<string, unknown>
  return Object.keys(shape).find((name) => !Object.hasOwn(fields, name) || shape[name]?.(fields[name]) !== true)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** Whether it is a whole number from 0. */
export function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Whether it is a number from 0. */
export function isDuration(value: unknown): boolean {
  return Number.isFinite(value) && (value as number) >= 0
}
