import { describe, expect, it } from 'vitest'
import type { Mutation } from './backend.js'
import { CommitQueue, type WaitingCommit } from './commit-queue.js'

function write(key: string): readonly Mutation[] {
  return [{ type: 'delete', collection: 'notes', key, version: '1', expected: undefined }]
}

function keysOf(group: readonly WaitingCommit[]): string {
  return group.flatMap(({ mutations }) => mutations.map((each) => ('key' in each ? each.key : ''))).join('')
}

/** A queue whose groups are written when the test says so. */
function heldQueue(maxGroup: number) {
  const groups: string[] = []
  const letGo: (() => void)[] = []
  const queue = new CommitQueue(maxGroup, async (group) => {
    groups.push(keysOf(group))
    await new Promise<void>((resolve) => letGo.push(resolve))
    for (const { resolve } of group) resolve('primary')
  })
  return { queue, groups, letGo: () => letGo.shift()?.() }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('CommitQueue', () => {
  it('writes together what came in one turn, and what came while that was written', async () => {
    const { queue, groups, letGo } = heldQueue(10)
    const first = [queue.add(write('a'), 0), queue.add(write('b'), 0)]
    await nextTurn()
    const second = [queue.add(write('c'), 0), queue.add(write('d'), 0)]
    expect(groups).toEqual(['ab'])
    expect(queue.length).toBe(2)
    letGo()
    await Promise.all(first)
    await nextTurn()
    expect(groups).toEqual(['ab', 'cd'])
    letGo()
    await Promise.all(second)
    await queue.flushing
    expect(queue.flushing).toBeUndefined()
  })

  it('writes no more than so many at once', async () => {
    const { queue, groups, letGo } = heldQueue(2)
    const all = ['a', 'b', 'c'].map((key) => queue.add(write(key), 0))
    await nextTurn()
    expect(groups).toEqual(['ab'])
    letGo()
    await nextTurn()
    letGo()
    await Promise.all(all)
    expect(groups).toEqual(['ab', 'c'])
  })

  it('writes no more characters at once than so many, but each commit', async () => {
    const groups: number[] = []
    const queue = new CommitQueue(
      100,
      async (group) => {
        groups.push(group.length)
        for (const { resolve } of group) resolve('primary')
      },
      10,
    )
    const put = (json: string): readonly Mutation[] => [
      { type: 'put', collection: 'notes', key: 'a', version: '1', json, expiresAt: undefined, expected: undefined },
    ]
    await Promise.all(['12345', '12345', '1', '12345678901', '1'].map((json) => queue.add(put(json), 0)))
    expect(groups).toEqual([2, 1, 1, 1])
  })

  it('rejects a whole group whose write fails, and writes the next one', async () => {
    let failures = 1
    const queue = new CommitQueue(1, async ([commit]) => {
      if (failures-- > 0) throw new Error('full')
      commit?.resolve('primary')
    })
    const results = await Promise.allSettled([queue.add(write('a'), 0), queue.add(write('b'), 0)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  })

  it('takes a group for written whose write needs no waiting, and rejects one that fails at once', async () => {
    const groups: string[] = []
    const queue = new CommitQueue(1, ([commit]) => {
      groups.push(keysOf(commit === undefined ? [] : [commit]))
      if (groups.length === 1) throw new Error('full')
      commit?.resolve('primary')
      return undefined
    })
    const results = await Promise.allSettled([queue.add(write('a'), 0), queue.add(write('b'), 0)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await queue.add(write('c'), 0)).toBe('primary')
    expect(groups).toEqual(['a', 'b', 'c'])
    expect(queue.flushing).toBeUndefined()
  })

  it('writes nothing while a task runs alone, and then what has come meanwhile', async () => {
    const { queue, groups, letGo } = heldQueue(10)
    let end = (): void => undefined
    const task = queue.runAlone(() => new Promise<void>((resolve) => (end = resolve)))
    await nextTurn()
    const commit = queue.add(write('a'), 0)
    await nextTurn()
    expect(groups).toEqual([])
    end()
    await task
    await nextTurn()
    expect(groups).toEqual(['a'])
    letGo()
    await commit
  })

  it('goes on after a task that failed, and says so to whom it concerns', async () => {
    const { queue, letGo } = heldQueue(10)
    await expect(queue.runAlone(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    const commit = queue.add(write('a'), 0)
    await nextTurn()
    letGo()
    expect(await commit).toBe('primary')
  })
})
