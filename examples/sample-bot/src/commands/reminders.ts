import { SlashCommandBuilder } from 'discord.js'
import type { Reminder } from '../reminders.js'
import { memberOf, type Command, type Member, type Say } from './command.js'

/** Finds a member's reminders, in the order in which they are shown. */
export type FindReminders = (who: Member) => Promise<readonly Reminder[]>

/** `/reminders` */
export function remindersCommand(find: FindReminders, say: Say): Command {
  return {
    data: new SlashCommandBuilder().setName('reminders').setDescription('Shows what you asked to be reminded of here'),

    async execute(interaction) {
      const found = await find(memberOf(interaction))
      const shown = found.map(({ text, dueAt }) => ({ text, dueAt }))
      const content = await say(interaction, { about: 'reminders', found: shown })
      if (content !== undefined) await interaction.reply({ content, allowedMentions: { parse: [] } })
    },
  }
}
