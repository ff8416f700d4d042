import { MemoryStorage } from '@evenkeel/storage-adapter'
import { describe, expect, it } from 'vitest'
import { BlueGreen, memoryState } from '../index.js'
import { Jobs } from '../jobs.js'
import { Fleet } from '../test-support/fleet.js'

describe('the options of jobs', () => {
  const blueGreen = new BlueGreen({
    versions: { v1: () => 1 },
    initial: 'v1',
    context: () => ({ eventId: null }),
    store: memoryState(),
  })
  const restart = new Fleet().process().restart
  const good = { everyMs: 1_000, effects: 'keyed', run: () => undefined } as const
  const whole = { jobs: { a: good }, owner: blueGreen, store: memoryState() }

  it.each([
    ['no jobs', { jobs: {} }, /Jobs needs jobs/],
    ['an unknown option', { every: 5 }, /Jobs has no option "every"/],
    ['an unknown option of a job', { jobs: { a: { ...good, cron: '* * * * *' } } }, /job "a" has no option "cron"/],
    ['no effects', { jobs: { a: { ...good, effects: undefined } } }, /job "a" needs effects/],
    ['neither everyMs nor nextAt', { jobs: { a: { ...good, everyMs: undefined } } }, /needs everyMs or nextAt/],
    ['both', { jobs: { a: { ...good, nextAt: () => 1 } } }, /has everyMs and nextAt.*leave one out/],
    [
      'a period that is too short',
      { jobs: { a: { ...good, everyMs: 99 } } },
      /everyMs of job "a" must be ms, at least 100/,
    ],
    ['a period that is none', { jobs: { a: { ...good, everyMs: NaN } } }, /everyMs of job "a"/],
    ['no function', { jobs: { a: { ...good, run: 'digest' } } }, /needs a function as run/],
    ['another word for missed', { jobs: { a: { ...good, missed: 'all' } } }, /missed of job "a"/],
    ['another word for overlap', { jobs: { a: { ...good, overlap: 'kill' } } }, /overlap of job "a"/],
    ['stored effects without a storage', { jobs: { a: { ...good, effects: 'stored' } } }, /needs storage/],
    ['a storage whose collection it is not', { storage: new MemoryStorage() }, /store must be a collection of storage/],
    ['a Map', { store: new Map() }, /store\.entry must be a function/],
    ['no owner', { owner: {} }, /owner must be a GaplessRestart/],
    ['a store that does not reach the other process', { owner: restart }, /store reaches one process/],
    ['a lease that is too short', { leaseMs: 1_500 }, /leaseMs must be at least twice lookMs/],
    ['an empty name', { name: '' }, /name must be a string/],
  ])('refuse %s', (_, options, message) => {
    expect(() => new Jobs({ ...whole, ...options } as never)).toThrow(message)
  })
})
