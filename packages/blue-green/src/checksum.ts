import { crc32 } from 'node:zlib'

/**
 * CRC-32 of a JSON value: finds every flipped bit. It is taken of the value with its names in order, since a store may keep
 * fields in an order of its own.
 */
export function checksumOf(value: unknown): string {
  return crc32(canonical(value)).toString(16).padStart(8, '0')
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
    const fields = each as Record<string, unknown>
    return Object.keys(fields)
      .filter((name) => fields[name] !== undefined)
      .sort()
      .map((name) => [name, fields[name]])
  })
}
