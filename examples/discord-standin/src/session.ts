import { randomBytes } from 'node:crypto'
import { GatewayOpcodes, type GatewayDispatchEvents } from 'discord-api-types/v10'

/** How many dispatches a session can replay at least; a client further behind has to identify anew. */
const keptDispatches = 10_000

/** An event as one session numbers it. */
export interface Dispatch {
  readonly seq: number
  readonly type: GatewayDispatchEvents
  /** The event's data; all sessions share the text. */
  readonly json: string
  readonly onSent: (() => void) | undefined
}

/** The dispatch as it goes over the wire. */
export function frame({ seq, type, json }: Dispatch): string {
  return `{"op":${GatewayOpcodes.Dispatch},"s":${seq},"t":"${type}","d":${json}}`
}

/** A client's session: its numbered dispatches, sent or not, kept for RESUME whether it is connected or away. */
export class Session {
  readonly id: string = randomBytes(16).toString('hex')
  readonly shard: [id: number, count: number]
  /** It is the so manieth that identified, from 1 on. */
  readonly number: number
  /** When it lost its connection. */
  detachedAt: number | undefined
  readonly #log: Dispatch[] = []
  #seq = 0

  constructor(shard: [id: number, count: number], number: number) {
    this.shard = shard
    this.number = number
  }

  /** The number of the latest dispatch. */
  get seq(): number {
    return this.#seq
  }

  /** Whether this session's shard has the guild. */
  has(guildId: string): boolean {
    return Number((BigInt(guildId) >> 22n) % BigInt(this.shard[1])) === this.shard[0]
  }

  /** @param json - the event's data, made JSON once for all sessions */
  append(type: GatewayDispatchEvents, json: string, onSent?: () => void): void {
    this.#log.push({ seq: ++this.#seq, type, json, onSent })
    // In one go and seldom: cutting the front off an array moves all of it.
    if (this.#log.length >= 2 * keptDispatches) this.#log.splice(0, this.#log.length - keptDispatches)
  }

  canReplayAfter(seq: number): boolean {
    return seq >= this.#firstSeq - 1
  }

  /** The dispatches that came after the one with this number. */
  after(seq: number): Dispatch[] {
    return this.#log.slice(Math.max(0, seq + 1 - this.#firstSeq))
  }

  get #firstSeq(): number {
    return this.#log[0]?.seq ?? this.#seq + 1
  }
}
