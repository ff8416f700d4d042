import { SlashCommandBuilder } from 'discord.js'
import type { Reminders } from '../reminders.js'
import type { Scores } from '../scores.js'
import type { Command, Say } from './command.js'

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const maxDelayMs = 365 * 86_400_000

/** Reads `10s`, `5m`, `2h` or `1d`; undefined for anything else. */
function parseDelay(text: string): number | undefined {
  const match = /^(\d{1,9})\s*([smhd])$/i.exec(text.trim())
  const unitMs = unitsMs[match?.[2]?.toLowerCase() ?? '']
  if (match === null || unitMs === undefined) return undefined
  const delayMs = Number(match[1]) * unitMs
  return delayMs > maxDelayMs ? undefined : delayMs
}

/** `/remind in:10m text:tea` */
export function remindCommand(reminders: Reminders, scores: Scores, say: Say): Command {
  return {
    data: new SlashCommandBuilder()
      .setName('remind')
      .setDescription('Reminds you of something in this channel')
      .addStringOption((option) => option.setName('in').setDescription('10s, 5m, 2h or 1d').setRequired(true))
      .addStringOption((option) =>
        option.setName('text').setDescription('What to remind you of').setRequired(true).setMaxLength(500),
      ),

    async execute(interaction) {
      const delayMs = parseDelay(interaction.options.getString('in', true))
      const { id, guildId, channelId, user } = interaction
      const text = interaction.options.getString('text', true)
      const dueAt = interaction.createdTimestamp + (delayMs ?? 0)
      // Before anything is stored: a version that fails to say it promises nothing.
      const promised = delayMs === undefined ? undefined : { text, dueAt }
      const words = await say(interaction, { about: 'remind', promised })
      if (words === undefined) return
      if (promised === undefined) {
        await interaction.reply(words)
        return
      }
      await reminders.add({ id, guildId, channelId, userId: user.id, text, dueAt })
      // From here on the promise is kept; a lost point on the leaderboard is no reason to take it back.
      await scores.add(guildId, user.id).catch((error: unknown) => console.warn('A point was not counted:', error))
      await interaction.reply(words)
    },
  }
}
