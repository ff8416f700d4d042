import { SlashCommandBuilder } from 'discord.js'
import { memberOf, type Command, type Member, type Say } from './command.js'

/** Asks a translation service; the bot hands in a guarded one. */
export type Translate = (text: string, who: Member) => Promise<string>

/** `/translate text:hello` */
export function translateCommand(translate: Translate, say: Say): Command {
  return {
    data: new SlashCommandBuilder()
      .setName('translate')
      .setDescription('Translates into the language of pirates')
      .addStringOption((option) =>
        option.setName('text').setDescription('What to translate').setRequired(true).setMaxLength(500),
      ),

    async execute(interaction) {
      const translated = await translate(interaction.options.getString('text', true), memberOf(interaction))
      const content = await say(interaction, { about: 'translate', translated })
      if (content !== undefined) await interaction.reply({ content, allowedMentions: { parse: [] } })
    },
  }
}
