import { describe, expect, it } from 'vitest'
import type { Priority } from '../priority.js'
import { WaitingRoom, type Waiting } from './waiting-room.js'

const entry = (key: string, priority: Priority = 'normal'): Waiting => ({ key, priority, untilMs: 1_000 })

describe('a WaitingRoom', () => {
  it.each<Priority>(['critical', 'optional'])(
    'keeps nothing of %s guilds of which nobody waits any more',
    (priority) => {
      const room = new WaitingRoom(1)
      const first = entry('first', priority)
      room.enter(first)
      const away = Array.from({ length: 100 }, (_, guild) => room.enter(entry(`guild ${guild}`, priority)))
      expect(new Set(away.map((gone) => gone?.key)).size).toBe(100)
      expect(room.size).toBe(1)
      // Whoever is left is next, and no empty place in between.
      expect(room.next()?.key).toBeDefined()
      expect([room.size, room.next(), room.earliestMs]).toEqual([0, undefined, Infinity])
      room.enter(entry('later', priority))
      expect(room.next()?.key).toBe('later')
    },
  )

  it('tells how many go before a newcomer: those who matter more, and as much', () => {
    const room = new WaitingRoom(10)
    for (const priority of ['critical', 'normal', 'normal', 'optional'] as const) room.enter(entry('guild', priority))
    expect((['critical', 'high', 'normal', 'optional'] as const).map((priority) => room.ahead(priority))).toEqual([
      1, 1, 3, 4,
    ])
  })

  it('is empty when the last has left of its own accord, or waited too long', () => {
    const room = new WaitingRoom(10)
    const [one, other] = [entry('one'), entry('other')]
    room.enter(one)
    room.enter(other)
    expect([room.leave(one), room.leave(one)]).toEqual([true, false])
    expect(room.expired(1_000)).toEqual([other])
    expect([room.size, room.next()]).toEqual([0, undefined])
  })
})
