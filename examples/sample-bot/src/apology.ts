import { DiscordAPIError, RESTJSONErrorCodes, type ChatInputCommandInteraction } from 'discord.js'

export const apology = 'Sorry, something went wrong. Look at /reminders before you try again.'

/** Says that a command failed, to the one who gave it, unless it has its answer. */
export async function apologise(interaction: ChatInputCommandInteraction, error: unknown): Promise<void> {
  // Another copy of the bot has answered, or nobody waits any more: there is no one to apologise to.
  if (hasCode(error, RESTJSONErrorCodes.InteractionHasAlreadyBeenAcknowledged)) return
  if (hasCode(error, RESTJSONErrorCodes.UnknownInteraction)) return
  if (interaction.replied) return
  try {
    if (interaction.deferred) await interaction.editReply(apology)
    else await interaction.reply({ content: apology, flags: 'Ephemeral' })
  } catch (unsaid) {
    if (!(unsaid instanceof DiscordAPIError)) throw unsaid
    console.warn(`/${interaction.commandName} stays without an answer: ${unsaid.message}`)
  }
}

function hasCode(error: unknown, code: number): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}
