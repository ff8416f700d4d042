import type { ChatInputCommandInteraction, RESTPostAPIChatInputApplicationCommandsJSONBody } from 'discord.js'
import type { Subject } from '../versions.js'

/** A command as a member of a guild gave it. */
export type GuildCommand = ChatInputCommandInteraction<'cached'>

/** Who gave a command, and where. */
export interface Member {
  readonly guildId: string
  readonly userId: string
}

/** Who gave a command, and where: what a flag is asked for. */
export function memberOf({ guildId, user }: GuildCommand): Member {
  return { guildId, userId: user.id }
}

/**
 * Asks the version that serves this guild for the words of an answer. Without words there is nothing to do: the command has come
 * a second time, and its first copy is answered.
 */
export type Say = (interaction: GuildCommand, subject: Subject) => Promise<string | undefined>

/** One slash command: what Discord shows, and what runs. */
export interface Command {
  readonly data: { readonly name: string; toJSON(): RESTPostAPIChatInputApplicationCommandsJSONBody }
  execute(interaction: GuildCommand): Promise<void>
}
