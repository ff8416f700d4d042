import { describe, expect, it } from 'vitest'
import { readMeasures } from './measures.js'

const right = {
  users: { green: 5, blue: 95 },
  memory: [{ side: 'green', ageMs: 60_000, bytes: 1e8 }],
  database: { queryTimeouts: 1 },
  satisfaction: 4.2,
  restarts: 0,
  storage: { green: true, blue: false },
}

describe('what was measured', () => {
  it('is taken as it is where it makes sense', () => {
    expect(readMeasures(right)).toEqual({ measures: right, nonsense: [] })
    const apart = { database: { green: { queryTimeouts: 1 }, blue: {} } }
    expect(readMeasures(apart)).toEqual({ measures: apart, nonsense: [] })
    expect(readMeasures({ memory: undefined })).toEqual({ measures: {}, nonsense: [] })
    expect(readMeasures(undefined)).toEqual({ measures: {}, nonsense: [] })
  })

  it.each<[string, unknown]>([
    ['users', { green: 1 }],
    ['users', { green: NaN, blue: 1 }],
    ['memory', null],
    ['memory', [null]],
    ['memory', [{ side: 'red', ageMs: 1, bytes: 1 }]],
    ['database', []],
    ['database', { green: {} }],
    ['satisfaction', '4.2'],
    ['restarts', Infinity],
    ['storage', true],
    ['memroy', []],
    ['toString', []],
  ])('is passed over alone where it makes none: %s: %j', (name, value) => {
    const { [name as 'users']: _, ...rest } = right
    expect(readMeasures({ ...right, [name]: value })).toEqual({ measures: rest, nonsense: [name] })
  })

  it('may be nothing that can be read', () => {
    for (const value of [null, 5, 'none', []]) {
      expect(readMeasures(value)).toEqual({ measures: {}, nonsense: ['everything'] })
    }
  })
})
