/** The interaction has been answered, or deferred, before: by an earlier run, or another process. */
const alreadyAcknowledged = 40_060
/** The interaction is unknown: three seconds have passed without an answer. */
const unknownInteraction = 10_062
/** The token is invalid: fifteen minutes have passed. */
const invalidToken = 50_027

/** What became of an answer. */
export type AnswerOutcome<T> =
  | {
      /** This call has answered. */
      readonly outcome: 'answered'
      /** What it resolved. */
      readonly value: T
    }
  | {
      /** `already-answered`: an earlier run has. `too-late`: Discord takes no answer any more, and the user has been told so. */
      readonly outcome: 'already-answered' | 'too-late'
    }

/** An interaction of discord.js that can be deferred. */
export interface DeferrableInteraction<Options = unknown> {
  /** Tells Discord that the answer comes later. */
  deferReply(options?: Options): Promise<unknown>
  /** Whether that has happened. discord.js lets nobody edit an answer before. */
  deferred: boolean
}

/**
 * Whether Discord refused an answer because there is one (code 40060). For a run that is repeated this means: done.
 *
 * @example
 * ```ts
 * import { isAlreadyAnswered } from '@evenkeel/blue-green/discord'
 *
 * console.log(isAlreadyAnswered({ code: 40060 }), isAlreadyAnswered(new Error('socket hang up'))) // => true false
 * ```
 */
export function isAlreadyAnswered(error: unknown): boolean {
  return codeOf(error) === alreadyAcknowledged
}

/** Whether Discord takes no answer to this interaction any more (codes 10062 and 50027). Trying again is no use. */
export function isTooLate(error: unknown): boolean {
  const code = codeOf(error)
  return code === unknownInteraction || code === invalidToken
}

/**
 * Answers an interaction, and takes Discord's word when it has been answered before or cannot be any more.
 *
 * @param answer - sends the answer: `() => interaction.reply('done')`
 * @returns what became of it
 * @throws whatever else the answer rejected with
 *
 * @example
 * ```ts
 * import { answerOnce } from '@evenkeel/blue-green/discord'
 *
 * const reply = async () => Promise.reject(Object.assign(new Error('acknowledged'), { code: 40060 }))
 * console.log((await answerOnce(reply)).outcome) // => already-answered
 * ```
 */
export async function answerOnce<T>(answer: () => PromiseLike<T>): Promise<AnswerOutcome<T>> {
  try {
    return { outcome: 'answered', value: await answer() }
  } catch (error) {
    if (isAlreadyAnswered(error)) return { outcome: 'already-answered' }
    if (isTooLate(error)) return { outcome: 'too-late' }
    throw error
  }
}

/**
 * Defers an interaction, or goes on where an earlier run that deferred it had died: `editReply` answers it then, for to edit twice is to
 * edit once.
 *
 * @param interaction - of discord.js; it is marked as deferred
 * @param options - of `deferReply`
 * @returns what became of it; go on unless it is `too-late`
 * @throws whatever else the deferral rejected with
 *
 * @example
 * ```ts
 * import { deferOnce } from '@evenkeel/blue-green/discord'
 *
 * const deferReply = async () => Promise.reject(Object.assign(new Error('acknowledged'), { code: 40060 }))
 * const interaction = { deferReply, deferred: false, editReply: async (text: string) => console.log(text) }
 * const { outcome } = await deferOnce(interaction)
 * if (outcome !== 'too-late') await interaction.editReply('done')
 * // => done
 * ```
 */
export async function deferOnce<Options>(
  interaction: DeferrableInteraction<Options>,
  options?: Options,
): Promise<AnswerOutcome<unknown>> {
  const outcome = await answerOnce(() => interaction.deferReply(options))
  if (outcome.outcome === 'already-answered') interaction.deferred = true
  return outcome
}

/** Of a `DiscordAPIError`, or of the JSON that Discord itself sends. */
function codeOf(error: unknown): unknown {
  return (Object(error) as { code?: unknown }).code
}
