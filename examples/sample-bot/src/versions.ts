import type { GuildCommand } from './commands/command.js'
import { createCommands, type CommandParts } from './commands/index.js'
import type { Command } from './commands/command.js'

/** What a version does with a command. */
export type Handler = (interaction: GuildCommand) => Promise<void>

/** Wraps a command in whatever the bot puts around all of them. */
export type Wrap = (command: Command) => Command['execute']

/** A version of the bot, built from what all versions share. */
export type Version = (parts: CommandParts, wrap: Wrap) => Handler

/** The version that runs first. */
export const v1: Version = (parts, wrap) => route(createCommands(parts), wrap)

/** Numbers the lines of `/reminders`. */
export const v2: Version = (parts, wrap) => route(createCommands(parts, { numbered: true }), wrap)

/** A version with an honest mistake. */
export const v3: Version = (parts, wrap) => {
  const handle = v2(parts, wrap)
  return async (interaction) => {
    // Most members have no nickname, and the one who wrote this has.
    if (interaction.member.nickname!.trim() === '') console.warn('A member has an empty nickname')
    await handle(interaction)
  }
}

function route(commands: readonly Command[], wrap: Wrap): Handler {
  const byName = new Map(commands.map((command) => [command.data.name, wrap(command)]))
  return async (interaction) => {
    const execute = byName.get(interaction.commandName)
    if (execute === undefined) await interaction.reply(`This bot no longer knows /${interaction.commandName}.`)
    else await execute(interaction)
  }
}
