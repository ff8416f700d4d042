/** What a gate says to a user: a message that only the user sees. */
export interface EphemeralReply {
  /** The words. */
  readonly content: string
  /** Only the user sees it. */
  readonly flags: 'Ephemeral'
}

/**
 * An interaction as {@link discordGate} needs it; every interaction of discord.js 14 is one. What a kind of interaction
 * does not have, such as a command's name on a button, may be missing.
 */
export interface GatedInteraction {
  /** Its id. */
  readonly id: string
  /** The guild; `null` in a direct message. */
  readonly guildId: string | null
  /** Who gave it. */
  readonly user: {
    /** The user's id. */
    readonly id: string
  }
  /** The user's language. */
  readonly locale: string
  /** The command's name, on commands and on what asks for suggestions. */
  readonly commandName?: string
  /** Which subcommand, on commands. */
  readonly options?: object
  /** Whether it was deferred. */
  readonly deferred?: boolean
  /** Whether it was answered. */
  readonly replied?: boolean
  /** Answers. */
  reply?(options: EphemeralReply): Promise<unknown>
  /** Says that an answer will come. */
  deferReply?(options?: { readonly flags?: 'Ephemeral' }): Promise<unknown>
  /** Gives suggestions, to what asks for them. */
  respond?(options: readonly never[]): Promise<unknown>
}

/** `remind add`: the command's name, and that of its subcommand; undefined when it is no command. */
export function commandNameOf({ commandName, options }: GatedInteraction): string | undefined {
  if (typeof commandName !== 'string') return undefined
  const resolver = (options ?? {}) as Partial<Record<'getSubcommandGroup' | 'getSubcommand', unknown>>
  const names = (['getSubcommandGroup', 'getSubcommand'] as const).flatMap((method) => {
    const find = resolver[method]
    const name: unknown = typeof find === 'function' ? find.call(options, false) : undefined
    return typeof name === 'string' ? [name] : []
  })
  return [commandName, ...names].join(' ')
}

/** Whether it asks for suggestions while somebody types. */
export function isAutocomplete(interaction: GatedInteraction): boolean {
  return typeof interaction.respond === 'function' && typeof interaction.reply !== 'function'
}
