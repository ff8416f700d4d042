import type { GuildCommand } from './commands/command.js'
import { createCommands, type CommandParts } from './commands/index.js'
import type { Command } from './commands/command.js'

/** What a version does with a command. */
export type Handler = (interaction: GuildCommand) => Promise<void>

/** A version of the bot, built from what all versions share. */
export type Version = (parts: CommandParts) => Handler

/** The version that runs first. */
export const v1: Version = (parts) => route(createCommands(parts))

/** Numbers the lines of `/reminders`. */
export const v2: Version = (parts) => route(createCommands(parts, { numbered: true }))

/** A version with an honest mistake. */
export const v3: Version = (parts) => {
  const handle = v2(parts)
  return async (interaction) => {
    // Most members have no nickname, and the one who wrote this has.
    if (interaction.member.nickname!.trim() === '') console.warn('A member has an empty nickname')
    await handle(interaction)
  }
}

function route(commands: readonly Command[]): Handler {
  const byName = new Map(commands.map((command) => [command.data.name, command]))
  return async (interaction) => {
    const command = byName.get(interaction.commandName)
    if (command === undefined) await interaction.reply(`This bot no longer knows /${interaction.commandName}.`)
    else await command.execute(interaction)
  }
}
