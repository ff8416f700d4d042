import { setTimeout as sleep } from 'node:timers/promises'
import type { Storage } from '@evenkeel/storage-adapter'

/** How long a sign of life of a process counts, in ms. */
export const leaseMs = 1_000

/** What a command of the chaos run asks for, as plain data. */
export interface Work {
  readonly id: string
  readonly guildId: string
  readonly userId: string
  /**
   * `reply` only answers. `pay` has an effect in the storage too. `once` must not run twice. `stumble` breaks the version that
   * runs it, the first time.
   */
  readonly command: string
  /** How long it takes. */
  readonly ms: number
}

/** Where each effect leaves a mark: one record for each time that it is committed. */
export const paid = 'paid'

/** Does what a command asks for. The effect is committed in one batch that is named by the event, so it happens once. */
export async function doWork({ id, command, ms }: Work, storage: Storage, by: string, attempt: number): Promise<void> {
  if (ms > 0) await sleep(ms)
  if (command !== 'pay') return
  const mark = { type: 'set', collection: paid, key: `${id}:${by}:${attempt}`, value: true } as const
  for (let tries = 1; ; tries++) {
    try {
      await storage.batch([mark], { once: id })
      return
    } catch (error) {
      // What has a name may be written again, whatever became of the try before.
      if (tries === 3) throw error
    }
  }
}
