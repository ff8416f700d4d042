import { batches } from './contract/batches.js'
import { conditions } from './contract/conditions.js'
import { expiry } from './contract/expiry.js'
import { MovableClock } from './contract/kit.js'
import { inspection, life } from './contract/life.js'
import { readingAndWriting } from './contract/reading-and-writing.js'
import { refusals } from './contract/refusals.js'
import { reopening, reopeningTheLog } from './contract/reopening.js'
import { scanning } from './contract/scanning.js'
import { sharing } from './contract/sharing.js'
import { watching } from './contract/watching.js'
import type { Clock } from './ports.js'
import type { Storage } from './storage.js'

export type { Clock } from './ports.js'

/** What the suite tests. */
export interface ContractSubject {
  /** The name of the storage, for the report. */
  readonly name: string
  /**
   * Makes an empty storage for one test. The suite stops it afterwards.
   *
   * @param clock - the time by which it must judge expiry; the suite moves it
   */
  create(clock: Clock): Storage | Promise<Storage>
  /**
   * Makes another storage over the same records, after the first was stopped. Leave it out when nothing is to
   * survive that.
   */
  reopen?(clock: Clock): Storage | Promise<Storage>
  /**
   * Makes another storage over the records of the one that was made last, while that is open, as another process would.
   * Leave it out when the records belong to one process alone.
   */
  join?(clock: Clock): Storage | Promise<Storage>
}

/** The functions of the test runner. */
export interface ContractRunner {
  /** Groups tests. */
  readonly describe: (name: string, tests: () => void) => void
  /** Declares a test. */
  readonly it: (name: string, test: () => Promise<void>) => void
}

/**
 * Declares the tests that every storage must pass, with the functions of any test runner.
 *
 * @example
 * ```ts
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 * import { storageContract } from '@evenkeel/storage-adapter/contract'
 *
 * // A runner of three lines; in a project, pass those of vitest, jest or node:test.
 * const tests: (() => Promise<void>)[] = []
 * const runner = { describe: (_: string, declare: () => void) => declare(), it: (_: string, test: () => Promise<void>) => tests.push(test) }
 * storageContract({ name: 'memory', create: (clock) => new MemoryStorage({ clock }) }, runner)
 * for (const test of tests) await test()
 * ```
 */
export function storageContract(subject: ContractSubject, { describe, it }: ContractRunner): void {
  const test = (name: string, body: (storage: Storage, clock: MovableClock) => Promise<void>): void =>
    it(name, async () => {
      const clock = new MovableClock()
      const storage = await subject.create(clock)
      try {
        await body(storage, clock)
      } finally {
        await storage.stop()
      }
    })

  describe(`${subject.name} keeps the storage contract`, () => {
    readingAndWriting(test)
    conditions(test)
    expiry(test)
    scanning(test)
    batches(test)
    watching(test)
    refusals(test)
    inspection(test)
    life(test)
    if (subject.join !== undefined) sharing(test, subject.join.bind(subject))
    if (subject.reopen === undefined) return
    const reopen = subject.reopen.bind(subject)
    reopening(test, reopen)
    if (subject.join !== undefined) reopeningTheLog(test, reopen)
  })
}
