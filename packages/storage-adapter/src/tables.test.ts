import { afterEach, describe, expect, it, vi } from 'vitest'
import { Tables } from './tables.js'

describe('Tables', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  function put(tables: Tables, collection: string, expiresAt?: number): void {
    const record = { key: 'k', json: '1', version: '1', expiresAt, expected: undefined }
    tables.apply({ type: 'put', collection, ...record })
  }

  it('look, when they sweep, only at collections that hold what expires', () => {
    const tables = new Tables()
    for (let i = 0; i < 100; i++) put(tables, `chat ${i}`)
    put(tables, 'short', 1_000)
    const walks = vi.spyOn(Set.prototype, Symbol.iterator)
    tables.sweep(500)
    expect(walks).toHaveBeenCalledTimes(1)
    tables.sweep(1_000)
    expect(walks).toHaveBeenCalledTimes(2)
    tables.sweep(1_001)
    expect(walks).toHaveBeenCalledTimes(2)
    walks.mockRestore()
    expect(tables.size).toBe(100)
  })

  it('forget a collection of which everything was deleted, cleared or expired', () => {
    const tables = new Tables()
    for (const name of ['deleted', 'cleared', 'kept']) put(tables, name)
    put(tables, 'expired', 1_000)
    const version = '2'
    tables.apply({ type: 'delete', collection: 'deleted', key: 'k', version, expected: undefined })
    tables.apply({ type: 'delete', collection: 'never there', key: 'k', version, expected: undefined })
    tables.apply({ type: 'clear', collection: 'cleared', version })
    tables.sweep(1_000)
    // One that is still known is asked whether it holds anything.
    const asked = vi.spyOn(tables, 'page')
    expect(tables.collections(1_000)).toEqual(['kept'])
    expect(asked).toHaveBeenCalledTimes(1)
  })
})
