import { SlashCommandBuilder, time, TimestampStyles } from 'discord.js'
import type { Reminders } from '../reminders.js'
import type { Command } from './command.js'

/** `/reminders` */
export function remindersCommand(reminders: Reminders, numbered: boolean): Command {
  return {
    data: new SlashCommandBuilder().setName('reminders').setDescription('Shows what you asked to be reminded of here'),

    async execute(interaction) {
      const found = await reminders.list(interaction.guildId, interaction.user.id)
      const lines = found.map(({ text, dueAt }, index) => {
        const line = `${time(new Date(dueAt), TimestampStyles.RelativeTime)}: ${text}`
        return numbered ? `${index + 1}. ${line}` : line
      })
      const content = lines.length === 0 ? 'You have no reminders here.' : lines.join('\n').slice(0, 2_000)
      await interaction.reply({ content, allowedMentions: { parse: [] } })
    },
  }
}
