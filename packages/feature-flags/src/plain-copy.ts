/**
 * A copy of plain data, so that it stays what it was when it was read. Lists and plain objects are copied. Anything else
 * is no plain data, and neither is what contains itself: whoever checks it refuses it.
 */
export function plainCopy<T>(value: T): T {
  return copyOf(value, []) as T
}

function copyOf(value: unknown, around: object[]): unknown {
  // Settings are far flatter than that, and so is what is refused for its depth.
  if (typeof value !== 'object' || value === null || around.length > 200 || around.includes(value)) return value
  if (Array.isArray(value)) {
    around.push(value)
    const list = value.map((item) => copyOf(item, around))
    around.pop()
    return list
  }
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype !== Object.prototype && prototype !== null) return value
  around.push(value)
  const record: Record<string, unknown> = {}
  for (const name of Object.keys(value)) {
    const copy = copyOf((value as Record<string, unknown>)[name], around)
    // Setting it would do something else.
    if (name === '__proto__') Object.defineProperty(record, name, { ...own, value: copy })
    else record[name] = copy
  }
  around.pop()
  return record
}

const own = { configurable: true, enumerable: true, writable: true }
