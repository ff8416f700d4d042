import { SlashCommandBuilder } from 'discord.js'
import type { Reminders } from '../reminders.js'
import type { Command } from './command.js'

/** `/forget` */
export function forgetCommand(reminders: Reminders): Command {
  return {
    data: new SlashCommandBuilder().setName('forget').setDescription('Forgets the reminder that you asked for last'),

    async execute(interaction) {
      const forgotten = await reminders.forgetLatest(interaction.guildId, interaction.user.id)
      await interaction.reply(forgotten === undefined ? 'There is nothing to forget.' : `Forgotten: ${forgotten.text}`)
    },
  }
}
