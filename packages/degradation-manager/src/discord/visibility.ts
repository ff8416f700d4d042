const EPHEMERAL = 64

/** Options of an answer, as far as we look into them. */
export type AnswerOptions = Readonly<Record<string, unknown>>

/** Whether an answer is for the user alone. A `MessagePayload` of discord.js has its options inside. */
export function isEphemeral(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null) return false
  const { flags, ephemeral, options } = answer as AnswerOptions
  if (ephemeral === true || hasEphemeral(flags)) return true
  return options !== undefined && isEphemeral(options)
}

/** The same answer for where its visibility was settled before: an edit cannot change it. */
export function withoutVisibility(answer: unknown): unknown {
  if (typeof answer === 'string') return { content: answer }
  if (typeof answer !== 'object' || answer === null || isPayload(answer)) return answer
  const { ephemeral: _, withResponse: __, fetchReply: ___, flags, ...rest } = answer as AnswerOptions
  const others = withoutEphemeral(flags)
  return others === undefined ? rest : { ...rest, flags: others }
}

/** The same answer as a message of its own. */
export function asMessage(answer: unknown, ephemeral: boolean): unknown {
  const plain = withoutVisibility(answer)
  if (!ephemeral || isPayload(plain)) return plain
  const { flags, ...rest } = plain as AnswerOptions
  const list: readonly unknown[] = flags === undefined ? [] : Array.isArray(flags) ? flags : [flags]
  return { ...rest, flags: [...list, 'Ephemeral'] }
}

/** Built by discord.js and not to be taken apart. */
function isPayload(answer: unknown): boolean {
  return typeof (answer as { resolveBody?: unknown } | null)?.resolveBody === 'function'
}

/** Flags come as a number, a name, a bit field, or a list of these. */
function hasEphemeral(flags: unknown): boolean {
  if (Array.isArray(flags)) return flags.some(hasEphemeral)
  if (typeof flags === 'object' && flags !== null) return hasEphemeral((flags as { bitfield?: unknown }).bitfield)
  if (typeof flags === 'number' || typeof flags === 'bigint' || isDigits(flags))
    return (Number(flags) & EPHEMERAL) !== 0
  return flags === 'Ephemeral'
}

function withoutEphemeral(flags: unknown): unknown {
  if (Array.isArray(flags)) return flags.map(withoutEphemeral).filter((flag) => flag !== undefined)
  if (typeof flags === 'object' && flags !== null) return withoutEphemeral((flags as { bitfield?: unknown }).bitfield)
  if (typeof flags === 'number' || typeof flags === 'bigint' || isDigits(flags)) return Number(flags) & ~EPHEMERAL
  return flags === 'Ephemeral' ? undefined : flags
}

function isDigits(flags: unknown): flags is string {
  return typeof flags === 'string' && /^\d+$/.test(flags)
}
