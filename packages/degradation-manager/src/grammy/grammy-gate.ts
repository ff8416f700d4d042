import { Gate, type Visit } from '../gate/gate.js'
import { gateSettings, type CommandRule, type GateOptions } from '../gate/gate-options.js'

/** What Telegram marks in a text, such as a command. */
export interface GrammyEntity {
  /** What it is: `bot_command`, `pre`, `mention` and so on. */
  readonly type: string
  /** Where it begins, in UTF-16 units. */
  readonly offset: number
  /** How long it is, in UTF-16 units. */
  readonly length: number
}

/** A context as {@link grammyGate} needs it; the `Context` of grammY 1 is one. */
export interface GatedContext {
  /** The bot itself: a command may be meant for another one. */
  readonly me?:
    | {
        /** Its name, without the @. */
        readonly username: string
      }
    | undefined
  /** The message that came in, if one did. */
  readonly msg?:
    | {
        /** Its number in the chat. */
        readonly message_id: number
        /** What it says. */
        readonly text?: string | undefined
        /** What Telegram marks in it. */
        readonly entities?: readonly GrammyEntity[] | undefined
        /** What it says below a picture. */
        readonly caption?: string | undefined
        /** What Telegram marks in that. */
        readonly caption_entities?: readonly GrammyEntity[] | undefined
      }
    | undefined
  /** The message that was edited, if one was: `msg` is it too. */
  readonly editedMessage?: object | undefined
  /** The post of a channel that was edited, if one was: `msg` is it too. */
  readonly editedChannelPost?: object | undefined
  /** The chat. */
  readonly chat?:
    | {
        /** Its number. */
        readonly id: number
        /** `private`, `group`, `supergroup` or `channel`. */
        readonly type: string
      }
    | undefined
  /** The user. */
  readonly from?:
    | {
        /** The user's number. */
        readonly id: number
        /** The user's language, such as `de`. */
        readonly language_code?: string | undefined
      }
    | undefined
  /** The button that was pressed, if one was. */
  readonly callbackQuery?: object | undefined
  /** The inline query that was typed, if one was. */
  readonly inlineQuery?: object | undefined
  /** Answers a message. */
  reply(text: string, other?: GrammyReply): Promise<unknown>
  /** Answers a button. */
  answerCallbackQuery?(other: { readonly text: string; readonly show_alert: boolean }): Promise<unknown>
  /** Answers an inline query. */
  answerInlineQuery?(results: readonly never[], other: { readonly cache_time: number }): Promise<unknown>
}

/** How a polite answer is sent: quietly, and to the message that it answers. */
export interface GrammyReply {
  /** No sound. */
  readonly disable_notification?: boolean
  /** The message that it answers. */
  readonly reply_parameters?: {
    /** Its number in the chat. */
    readonly message_id: number
    /** Whether the answer is sent also when that message is gone. */
    readonly allow_sending_without_reply: boolean
  }
}

/** What a {@link grammyGate} is made of. */
export type GrammyGateOptions<
  Feature extends string,
  Flag extends string,
  Context extends GatedContext = GatedContext,
> = GateOptions<Feature, Flag, Context, CommandRule<NoInfer<Feature>, NoInfer<Flag>>>

/** Telegram takes no more in the alert that answers a button. */
const MAX_ALERT_LENGTH = 200

/**
 * A grammY middleware: a command that is switched off or has no place is answered politely, and what matters is handled
 * first. Everything else passes.
 *
 * @remarks
 * What the middleware after it throws passes through, but a `ShedError` from a guard inside a handler is told to the
 * user. Buttons and inline queries have a rule when `command` names one for them; they are answered as such. So have edited
 * messages, which are no commands by themselves, as for `bot.command`.
 *
 * *Gotchas*: `bot.start()` handles one update at a time, so there is nothing to bound; `admission` is of use with
 * webhooks, and with `@grammyjs/runner`. In a group everybody sees the answer, as Telegram has no private one there.
 *
 * @param options - the commands, and who decides about them
 * @returns the middleware: `bot.use(grammyGate({ ... }))`, before the commands
 * @throws TypeError or RangeError when an option is missing, does not exist or is out of range
 *
 * @example
 * ```ts
 * import { DegradationManager } from '@evenkeel/degradation-manager'
 * import { grammyGate } from '@evenkeel/degradation-manager/grammy'
 *
 * const modes = new DegradationManager({ features: { translate: { priority: 'optional' } } })
 * const gate = grammyGate({ modes, commands: { translate: { feature: 'translate' } } })
 * // bot.use(gate)
 * await modes.setMode('DEGRADED', { why: 'the translation service is slow' })
 * const context = {
 *   msg: { message_id: 1, text: '/translate Guten Tag' },
 *   from: { id: 7, language_code: 'en' },
 *   reply: async (text: string) => console.log(text), // => /translate is taking a break. Please try again later.
 * }
 * await gate(context, async () => console.log('not reached'))
 * ```
 */
export function grammyGate<Feature extends string, Flag extends string, Context extends GatedContext = GatedContext>(
  options: GrammyGateOptions<Feature, Flag, Context>,
): (context: Context, next: () => Promise<void>) => Promise<void> {
  const settings = gateSettings<Context, CommandRule<never, never>>(
    options as GrammyGateOptions<never, never, Context>,
    { options: [], rule: [] },
  )
  const gate = new Gate(settings)
  return (context, next) => {
    const visit: Visit<Context> = {
      event: context,
      command: settings.command?.(context) ?? commandOf(context),
      guildId: groupOf(context),
      userId: context.from === undefined ? undefined : String(context.from.id),
      locale: context.from?.language_code,
      isSuggestion: context.inlineQuery !== undefined,
    }
    const isAnswered = watchAnswer(context)
    return gate.pass(visit, { handle: next, refuse: (words) => tell(context, words, isAnswered()) })
  }
}

/**
 * `/translate@SomeBot hello` is `translate`, if that is this bot. Only what has just been written is a command: the message
 * of a button is the bot's own, and nobody handles a command again when its message is edited.
 */
function commandOf({ msg, me, callbackQuery, editedMessage, editedChannelPost }: GatedContext): string | undefined {
  if (msg === undefined || (callbackQuery ?? editedMessage ?? editedChannelPost) !== undefined) return undefined
  const { text = msg.caption ?? '' } = msg
  const entities = msg.text === undefined ? msg.caption_entities : msg.entities
  // Telegram says where a command ends, and grammY believes it; without a mark it ends where it would for Telegram.
  const marked = entities?.find(({ type, offset }) => type === 'bot_command' && offset === 0)
  const given = entities === undefined ? text : text.slice(0, marked?.length ?? 0)
  const [, command, addressee] = /^\/(\w+)(?:@(\w+))?(?![\w/<>])/.exec(given) ?? []
  const isForAnother =
    addressee !== undefined && me !== undefined && addressee.toLowerCase() !== me.username.toLowerCase()
  return isForAnother ? undefined : command
}

/** A chat of two is the user's own. */
function groupOf({ chat }: GatedContext): string | undefined {
  return chat === undefined || chat.type === 'private' ? undefined : String(chat.id)
}

/** Whether the handler has answered the button meanwhile: what is said along with a second answer is shown to nobody. */
function watchAnswer(context: GatedContext): () => boolean {
  const answer = context.answerCallbackQuery?.bind(context)
  let isAnswered = false
  if (context.callbackQuery === undefined || answer === undefined) return () => isAnswered
  const value = (...args: Parameters<typeof answer>): Promise<unknown> => {
    isAnswered = true
    return answer(...args)
  }
  Object.defineProperty(context, 'answerCallbackQuery', { value, writable: true, configurable: true })
  return () => isAnswered
}

async function tell(context: GatedContext, words: string, isAnswered: boolean): Promise<void> {
  const { msg } = context
  if (context.callbackQuery !== undefined && !isAnswered) {
    const text = words.length > MAX_ALERT_LENGTH ? `${words.slice(0, MAX_ALERT_LENGTH - 1)}…` : words
    await context.answerCallbackQuery?.({ text, show_alert: true })
  } else if (context.inlineQuery !== undefined) await context.answerInlineQuery?.([], { cache_time: 0 })
  else if (msg === undefined) await context.reply(words, { disable_notification: true })
  else {
    const reply_parameters = { message_id: msg.message_id, allow_sending_without_reply: true }
    await context.reply(words, { disable_notification: true, reply_parameters })
  }
}
