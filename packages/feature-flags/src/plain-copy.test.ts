import { describe, expect, it } from 'vitest'
import { plainCopy } from './plain-copy.js'

describe('plainCopy', () => {
  it('is equal, and shares nothing with what it was made of', () => {
    const data = { list: [{ a: 1 }, [2, null]], of: Object.create(null) as object, none: undefined }
    const copy = plainCopy(data)
    expect(copy).toEqual(data)
    expect(Object.keys(copy)).toEqual(['list', 'of', 'none'])
    expect(copy.list).not.toBe(data.list)
    expect(copy.list[0]).not.toBe(data.list[0])
  })

  it('takes `__proto__` for the name that it is', () => {
    const copy = plainCopy(JSON.parse('{"__proto__":{"a":1}}') as Record<string, unknown>)
    expect(Object.keys(copy)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect(copy['a']).toBeUndefined()
  })

  it('leaves what is no plain data as it is, and ends where data contains itself', () => {
    const date = new Date(0)
    expect(plainCopy({ date }).date).toBe(date)
    const circle: Record<string, unknown> = { a: 1 }
    Object.assign(circle, { self: circle, again: [circle, circle] })
    expect(plainCopy(circle)).toMatchObject({ a: 1 })
    let deep: unknown = 1
    for (let i = 0; i < 100_000; i++) deep = [deep]
    expect(Array.isArray(plainCopy(deep))).toBe(true)
  })
})
