import { maxDelayMs } from './system-clock.js'

// What each entry of this package asks of its options.

/** @throws RangeError unless it is a duration that a timer can wait for */
export function readDuration(name: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= maxDelayMs) return value
  throw new RangeError(`${name} must be milliseconds above 0, at most ${maxDelayMs}, not ${shown(value)}`)
}

/** A string that looks like a number is told as a string. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** An option that is ignored is a promise broken in silence. */
export function requireKnown(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${where} takes an object of options`)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`${where} has no option "${unknown}"; it has ${known.join(', ')}`)
}

export function readCount(name: string, value: unknown, min: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min) return value as number
  throw new RangeError(`${name} must be a whole number from ${min}, not ${shown(value)}`)
}

export function requireMethods(name: string, value: object | null | undefined, methods: readonly string[]): void {
  const fields = Object(value) as Record<string, unknown>
  for (const method of methods) {
    if (typeof fields[method] === 'function') continue
    const what = method === name ? name : `${name}.${method}`
    const or = methods.includes('set') ? '' : ', or memoryState()'
    const hint = name === 'store' ? `; pass storage.collection('evenkeel') of @evenkeel/storage-adapter${or}` : ''
    throw new TypeError(`${what} must be a function${hint}`)
  }
}

/** An option that is there but undefined is not given. */
export function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}
