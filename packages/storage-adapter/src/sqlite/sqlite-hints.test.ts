import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { SqliteHints } from './sqlite-hints.js'

describe('hints of changes', () => {
  it('come soon after a commit of another process, and the number is read only while somebody watches', async () => {
    const clock = new FakeClock()
    let version = 1
    let reads = 0
    const hints = new SqliteHints(clock, () => {
      reads++
      return version
    })
    await clock.advance(1_000)
    expect(reads).toBe(0)
    let hinted = 0
    const end = hints.add(() => hinted++)
    await clock.advance(60)
    expect(hinted).toBe(0)
    version = 2
    await clock.advance(30)
    expect(hinted).toBe(1)
    hints.wakeAll()
    expect(hinted).toBe(2)
    end()
    const before = reads
    version = 3
    await clock.advance(1_000)
    expect(reads).toBe(before)
    expect(hinted).toBe(2)
  })

  it('come sooner where the file system tells that the log was written to, even if the commit takes its time', async () => {
    const clock = new FakeClock()
    let version = 1
    let write: () => void = () => undefined
    let isWatched = true
    const hints = new SqliteHints(
      clock,
      () => version,
      (onWrite) => {
        write = onWrite
        return () => (isWatched = false)
      },
    )
    let hinted = 0
    const end = hints.add(() => hinted++)
    write()
    await clock.advance(3)
    expect(hinted).toBe(0)
    version = 2
    await clock.advance(1)
    expect(hinted).toBe(1)
    await clock.advance(20)
    write()
    version = 3
    await clock.advance(1)
    expect(hinted).toBe(2)
    end()
    expect(isWatched).toBe(false)
    expect(clock.pending).toBe(0)
  })
})
