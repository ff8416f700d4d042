/** An identifier as chat libraries give it. A number is taken up to 2^53, beyond which it would lose digits. */
export type Id = string | number | bigint

/** What routing has to know of an event. */
export interface EventContext {
  /**
   * What two copies of one event have in common: the id of the interaction, the message or the update.
   * `null` or `undefined` for an event that has none: then each copy is handled.
   */
  readonly eventId: Id | null | undefined
  /** The guild (server, group, workspace), which moves between the versions as a whole. `null` in direct messages. */
  readonly guildId?: Id | null | undefined
  /** The user, who is the unit of routing where there is no guild. */
  readonly userId?: Id | null | undefined
  /** The key of the flow that the event belongs to, if any: while it is pinned (`blueGreen.pin`, `restart.pin`), the event goes where the flow began. */
  readonly pin?: string | null | undefined
}

/** A context as the router wants it. */
export interface Routed {
  readonly eventId: string | undefined
  /** What moves as a whole: the guild, or the user in a direct message, or nothing. */
  readonly unitId: string | undefined
  /** The flow, if any. */
  readonly pin: string | undefined
}

/** @throws TypeError when the context is no object or says nothing of an `eventId`, RangeError when an identifier has lost digits */
export function readContext(context: EventContext): Routed {
  if (typeof context !== 'object' || context === null) {
    throw new TypeError(`context(event) must return { eventId, guildId, userId }, not ${String(context)}`)
  }
  // Without this, an event passed whole or a promise would go to blue, time and again, and nobody would know why.
  if (!('eventId' in context)) {
    throw new TypeError('context(event) must return an object with an eventId; say null for an event that has none')
  }
  const unitId = readId('guildId', context.guildId) ?? readId('userId', context.userId)
  // Of no guild and no user it would stay on blue until the last step, and nobody would know why.
  if (unitId === undefined) refuseMisspelt(context)
  return { eventId: readId('eventId', context.eventId), unitId, pin: readPin(context.pin) }
}

function refuseMisspelt(context: EventContext): void {
  for (const name of Object.keys(context)) {
    const plain = name.toLowerCase().replace('_', '')
    const meant = plain === 'guildid' ? 'guildId' : plain === 'userid' ? 'userId' : name
    if (meant !== name) throw new TypeError(`context has no "${name}"; say ${meant}`)
  }
}

/** @throws TypeError or RangeError when it is no identifier, or has lost digits */
function readId(name: string, id: Id | null | undefined): string | undefined {
  if (id === null || id === undefined) return undefined
  if (typeof id === 'string') {
    if (id !== '') return id
    throw new TypeError(`${name} is empty; say null for an event that has none`)
  }
  if (typeof id === 'bigint') return String(id)
  if (typeof id !== 'number')
    throw new TypeError(
      `${name} must be a string, a bigint or null, not ${typeof id === 'object' ? 'an object' : `a ${typeof id}`}`,
    )
  if (!Number.isSafeInteger(id)) {
    if (!Number.isInteger(id)) throw new RangeError(`${name} ${id} is no whole number; pass an id, or null for none`)
    throw new RangeError(`${name} ${id} is no safe integer: its last digits are lost; pass it as a string or a bigint`)
  }
  return String(id)
}

/** Each is in a record that is written at every transition. */
const maxFirst = 1_000

/** @throws TypeError or RangeError when it is no list of ids, or too long a one */
export function readFirst(value: unknown): string[] {
  if (!Array.isArray(value)) throw new TypeError(`first must be a list of ids, not ${String(value)}`)
  if (value.length > maxFirst) {
    throw new RangeError(`first has ${value.length} ids, more than ${maxFirst}; a first step at 1 % takes many guilds`)
  }
  return (value as unknown[]).map((given) => {
    const id = readId('an id of first', given as Id)
    if (id === undefined) throw new TypeError(`an id of first must be a string or a bigint, not ${String(given)}`)
    return id
  })
}

function readPin(pin: unknown): string | undefined {
  if (pin === undefined || pin === null) return undefined
  if (typeof pin === 'string' && pin !== '') return pin
  throw new TypeError(`pin must be a string with something in it, not ${pin === '' ? 'an empty one' : typeof pin}`)
}
