import { SlashCommandBuilder, time, TimestampStyles } from 'discord.js'
import type { Reminder } from '../reminders.js'
import { memberOf, type Command, type Member } from './command.js'

/** Finds a member's reminders, in the order in which they are shown. */
export type FindReminders = (who: Member) => Promise<readonly Reminder[]>

/** `/reminders` */
export function remindersCommand(find: FindReminders, numbered: boolean): Command {
  return {
    data: new SlashCommandBuilder().setName('reminders').setDescription('Shows what you asked to be reminded of here'),

    async execute(interaction) {
      const found = await find(memberOf(interaction))
      const lines = found.map(({ text, dueAt }, index) => {
        const line = `${time(new Date(dueAt), TimestampStyles.RelativeTime)}: ${text}`
        return numbered ? `${index + 1}. ${line}` : line
      })
      const content = lines.length === 0 ? 'You have no reminders here.' : lines.join('\n').slice(0, 2_000)
      await interaction.reply({ content, allowedMentions: { parse: [] } })
    },
  }
}
