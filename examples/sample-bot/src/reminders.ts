import { setTimeout as sleep } from 'node:timers/promises'
import type { Storage } from '@evenkeel/storage-adapter'

/** What a member asked to be reminded of. */
export interface Reminder {
  readonly id: string
  readonly guildId: string
  readonly userId: string
  readonly channelId: string
  readonly text: string
  readonly dueAt: number
}

/** Sends a reminder to its channel. Must be safe to call again for the same reminder. */
export type Deliver = (reminder: Reminder) => Promise<void>

const retryMs = 1_000

/**
 * Keeps reminders in a store and delivers them when they are due.
 *
 * A reminder leaves the store only after its delivery succeeded, so a crash in between delivers it again; the
 * delivery carries the reminder's id as a nonce, and Discord answers a repeated nonce with the first message.
 */
export class Reminders {
  readonly #kept
  readonly #deliver: Deliver
  /** Sorted by due time, the earliest last, so that taking the next is a `pop`. */
  readonly #waiting: Reminder[] = []
  readonly #delivering = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #stopping = new AbortController()
  #started = false

  constructor(storage: Storage, deliver: Deliver) {
    this.#kept = storage.collection<Reminder>('reminders')
    this.#deliver = deliver
  }

  /** How many reminders wait for their time, or are on their way. */
  get pending(): number {
    return this.#waiting.length + this.#delivering.size
  }

  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    this.#stopping = new AbortController()
    for await (const { value } of this.#kept.scan()) this.#enqueue(value)
    this.#arm()
  }

  /** Waits for the deliveries that have begun; those not yet due stay in the store. */
  async stop(): Promise<void> {
    this.#started = false
    clearTimeout(this.#timer)
    this.#stopping.abort()
    await Promise.allSettled(this.#delivering)
    this.#waiting.length = 0
  }

  /** Resolves once the reminder is durable. Adding the same id again changes nothing. */
  async add(reminder: Reminder): Promise<void> {
    const receipt = await this.#kept.compareAndSet(keyOf(reminder), undefined, reminder)
    if (receipt === undefined) return
    this.#enqueue(reminder)
    this.#arm()
  }

  async list(guildId: string, userId: string, limit = 10): Promise<Reminder[]> {
    const found: Reminder[] = []
    for await (const { value } of this.#kept.scan({ prefix: `${guildId}:${userId}:`, limit })) found.push(value)
    return found
  }

  /** The reminders that are due next. All of a member's are looked at: the store has them in the order of asking. */
  async soonest(guildId: string, userId: string, limit = 10): Promise<Reminder[]> {
    const found = await this.list(guildId, userId, Infinity)
    return found.sort((a, b) => a.dueAt - b.dueAt).slice(0, limit)
  }

  /**
   * Takes the last promise back that is not on its way already. The words for it are asked for first: without any it is kept.
   *
   * @param wordsFor - what to say of that reminder, or of there being none
   * @returns the words, once the reminder is gone for good
   */
  async forgetLatest(
    guildId: string,
    userId: string,
    wordsFor: (latest: Reminder | undefined) => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const latest = await this.#takeLatest(guildId, userId)
    if (latest === undefined) return wordsFor(undefined)
    let isForgotten = false
    try {
      const words = await wordsFor(latest)
      if (words === undefined) return undefined
      await this.#kept.delete(keyOf(latest))
      isForgotten = true
      return words
    } finally {
      // Nobody was told that it is forgotten, or it is not known to be deleted: so it stays promised.
      if (!isForgotten) {
        this.#enqueue(latest)
        this.#arm()
      }
    }
  }

  /** From now on it is not delivered. */
  async #takeLatest(guildId: string, userId: string): Promise<Reminder | undefined> {
    for await (const { value } of this.#kept.scan({ prefix: `${guildId}:${userId}:`, reverse: true })) {
      const index = this.#waiting.findIndex((waiting) => waiting.id === value.id)
      if (index === -1) continue
      this.#waiting.splice(index, 1)
      return value
    }
    return undefined
  }

  #enqueue(reminder: Reminder): void {
    let low = 0
    let high = this.#waiting.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#waiting[middle]?.dueAt ?? 0) > reminder.dueAt) low = middle + 1
      else high = middle
    }
    this.#waiting.splice(low, 0, reminder)
  }

  /** One timer, for the earliest. A clock that was set forward or back is noticed within the second. */
  #arm(): void {
    clearTimeout(this.#timer)
    const next = this.#waiting.at(-1)
    if (!this.#started || next === undefined) return
    const delayMs = Math.min(Math.max(0, next.dueAt - Date.now()), 1_000)
    this.#timer = setTimeout(() => this.#deliverDue(), delayMs)
    this.#timer.unref()
  }

  #deliverDue(): void {
    const now = Date.now()
    for (let next = this.#waiting.at(-1); next !== undefined && next.dueAt <= now; next = this.#waiting.at(-1)) {
      this.#waiting.pop()
      const delivery = this.#deliverUntilDone(next)
      this.#delivering.add(delivery)
      void delivery.finally(() => this.#delivering.delete(delivery))
    }
    this.#arm()
  }

  async #deliverUntilDone(reminder: Reminder): Promise<void> {
    const { signal } = this.#stopping
    let delivered = false
    while (!signal.aborted) {
      try {
        if (!delivered) await this.#deliver(reminder)
        delivered = true
        await this.#kept.delete(keyOf(reminder))
        return
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        console.warn(`Reminder ${reminder.id} ${delivered ? 'is not yet struck off' : 'is not yet delivered'}: ${why}`)
        await sleep(retryMs, undefined, { signal, ref: false }).catch(() => undefined)
      }
    }
  }
}

/** Ids are snowflakes of equal length, so the order of keys is the order of asking. */
function keyOf(reminder: Reminder): string {
  return `${reminder.guildId}:${reminder.userId}:${reminder.id}`
}
