import { describe, expect, it } from 'vitest'
import type { Mutation } from './backend.js'
import { RecentChanges } from './recent-changes.js'

const put = (n: number): Mutation => ({
  ...{ type: 'put', collection: 'notes', key: `k${n}`, json: '1' },
  ...{ version: `v${n}`, expiresAt: undefined, expected: undefined },
})

describe('RecentChanges', () => {
  it('remembers nothing until somebody asks', async () => {
    const log = new RecentChanges()
    log.add([put(1)])
    const { cursor } = await log.changes(undefined, 10)
    log.add([put(2)])
    expect((await log.changes(cursor, 10)).changes.map(({ key }) => key)).toEqual(['k2'])
  })

  it('leaves out what only checks', async () => {
    const log = new RecentChanges()
    const { cursor } = await log.changes(undefined, 10)
    log.add([{ type: 'check', collection: 'notes', key: 'k', expected: null }])
    expect(await log.changes(cursor, 10)).toEqual({ changes: [], cursor, isReset: false })
  })

  it('says so when it does not reach back to a cursor, and goes on from now', async () => {
    const log = new RecentChanges(3)
    const { cursor } = await log.changes(undefined, 10)
    for (let n = 1; n <= 3; n++) log.add([put(n)])
    expect((await log.changes(cursor, 10)).changes).toHaveLength(3)
    for (let n = 4; n <= 6; n++) log.add([put(n)])
    const gap = await log.changes(cursor, 10)
    expect(gap).toMatchObject({ changes: [], isReset: true })
    log.add([put(7)])
    expect((await log.changes(gap.cursor, 10)).changes.map(({ key }) => key)).toEqual(['k7'])
  })

  it.each(['', 'x', 'x.1', '.', 'NaN', 'a.b.c'])('takes the cursor %j for one of another log', async (cursor) => {
    expect((await new RecentChanges().changes(cursor, 10)).isReset).toBe(true)
  })

  it('refuses a cursor from the future of its own history', async () => {
    const log = new RecentChanges()
    const { cursor } = await log.changes(undefined, 10)
    const later = cursor.replace(/\d+$/, '5')
    expect((await log.changes(later, 10)).isReset).toBe(true)
    expect((await log.changes(cursor.replace(/\d+$/, '0.5'), 10)).isReset).toBe(true)
  })

  it('wakes each who asked to be woken, until they end it', async () => {
    const log = new RecentChanges()
    await log.changes(undefined, 1)
    let woken = 0
    const wake = (): void => void woken++
    const ends = [log.onHint(wake), log.onHint(wake)]
    log.add([put(1)])
    expect(woken).toBe(2)
    ends[0]?.()
    log.add([put(2)])
    expect(woken).toBe(3)
  })
})
