import { SlashCommandBuilder } from 'discord.js'
import type { Reminders } from '../reminders.js'
import type { Command, Say } from './command.js'

/** `/forget` */
export function forgetCommand(reminders: Reminders, say: Say): Command {
  return {
    data: new SlashCommandBuilder().setName('forget').setDescription('Forgets the reminder that you asked for last'),

    async execute(interaction) {
      const words = await reminders.forgetLatest(interaction.guildId, interaction.user.id, (latest) =>
        say(interaction, { about: 'forget', forgotten: latest?.text }),
      )
      if (words !== undefined) await interaction.reply(words)
    },
  }
}
