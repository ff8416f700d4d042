import type { ChatInputCommandInteraction, RESTPostAPIChatInputApplicationCommandsJSONBody } from 'discord.js'

/** A command as a member of a guild gave it. */
export type GuildCommand = ChatInputCommandInteraction<'cached'>

/** One slash command: what Discord shows, and what runs. */
export interface Command {
  readonly data: { readonly name: string; toJSON(): RESTPostAPIChatInputApplicationCommandsJSONBody }
  execute(interaction: GuildCommand): Promise<void>
}
