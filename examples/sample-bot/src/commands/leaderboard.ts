import { SlashCommandBuilder, userMention } from 'discord.js'
import type { Score, Scores } from '../scores.js'
import type { Command, Say } from './command.js'

/** How the leaderboard is shown: a flag decides. */
export type ShowScores = (scores: readonly Score[]) => string

/** `1. @alice 12` */
export const plainScores: ShowScores = (scores) =>
  scores.map(({ userId, points }, index) => `${index + 1}. ${userMention(userId)} ${points}`).join('\n')

const medals = ['🥇', '🥈', '🥉']

/** `🥇 @alice 12` */
export const medalScores: ShowScores = (scores) =>
  scores.map(({ userId, points }, index) => `${medals[index] ?? '▫️'} ${userMention(userId)} ${points}`).join('\n')

/** `/leaderboard` */
export function leaderboardCommand(scores: Scores, show: (guildId: string) => ShowScores, say: Say): Command {
  return {
    data: new SlashCommandBuilder().setName('leaderboard').setDescription('Shows who asks for the most reminders here'),

    async execute(interaction) {
      const best = await scores.best(interaction.guildId, 10)
      const content = await say(interaction, { about: 'leaderboard', scores: show(interaction.guildId)(best) })
      if (content !== undefined) await interaction.reply({ content, allowedMentions: { parse: [] } })
    },
  }
}
