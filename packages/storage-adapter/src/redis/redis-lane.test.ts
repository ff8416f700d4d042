import { describe, expect, it } from 'vitest'
import { RedisLane, type Write } from './redis-lane.js'

describe('RedisLane', () => {
  const told: string[] = []
  const lane = new RedisLane()

  /** Two writes meet when they are of one key. */
  class KeyWrite implements Write {
    readonly #name: string
    constructor(name: string) {
      this.#name = name
    }
    send(withScript: boolean): void {
      told.push(`${withScript ? 'script' : 'name'} ${this.#name}`)
    }
    drop(): void {
      told.push(`drop ${this.#name}`)
    }
    meets(other: Write): boolean {
      return other instanceof KeyWrite && other.#name[0] === this.#name[0]
    }
  }

  function add<Names extends readonly string[]>(...names: Names): { [I in keyof Names]: KeyWrite } {
    told.length = 0
    const writes = names.map((name) => new KeyWrite(name))
    for (const write of writes) lane.add(write)
    return writes as never
  }

  it('sends a write that was refused before what comes after it, when nothing is on its way any more', () => {
    const [a1, a2] = add('a1', 'a2')
    lane.refused(a1)
    const a3 = new KeyWrite('a3')
    lane.add(a3)
    expect(told).toEqual(['name a1', 'name a2'])
    lane.refused(a2)
    expect(told.slice(2)).toEqual(['script a1', 'script a2', 'name a3'])
    for (const write of [a1, a2, a3]) lane.answered(write)
    const [a4] = add('a4')
    expect(told).toEqual(['name a4'])
    lane.answered(a4)
  })

  it('drops a write that a later one of the same record has overtaken, and sends the others', () => {
    const [a1, b1, a2] = add('a1', 'b1', 'a2')
    lane.refused(a1)
    lane.refused(b1)
    lane.answered(a2)
    expect(told.slice(3)).toEqual(['drop a1', 'script b1'])
    lane.answered(b1)
  })

  it('holds what comes while a write is sent with its script only as long as others are on their way', () => {
    const [a1, b1] = add('a1', 'b1')
    lane.refused(a1)
    lane.answered(b1)
    const [a2] = add('a2')
    expect(told).toEqual(['name a2'])
    lane.answered(a1)
    lane.answered(a2)
  })
})
