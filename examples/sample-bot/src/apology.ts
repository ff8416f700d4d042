import { DiscordAPIError, RESTJSONErrorCodes, type ChatInputCommandInteraction } from 'discord.js'

/** Whether a command was not begun, because its feature rests. */
export function isShed(error: unknown): boolean {
  return hasCode(error, 'SHED')
}

/** Says that a command could not be served, once, and only to the one who gave it. */
export async function apologise(interaction: ChatInputCommandInteraction, error: unknown): Promise<void> {
  if (isShed(error)) {
    await answer(interaction, `/${interaction.commandName} is resting for a moment. Please try again soon.`)
    return
  }
  // Another copy of the bot has answered, or nobody waits any more: there is no one to apologise to.
  if (hasCode(error, RESTJSONErrorCodes.InteractionHasAlreadyBeenAcknowledged)) return
  if (hasCode(error, RESTJSONErrorCodes.UnknownInteraction)) return
  await answer(interaction, 'Sorry, something went wrong. Look at /reminders before you try again.')
}

async function answer(interaction: ChatInputCommandInteraction, content: string): Promise<void> {
  try {
    if (interaction.replied || interaction.deferred) await interaction.followUp({ content, flags: 'Ephemeral' })
    else await interaction.reply({ content, flags: 'Ephemeral' })
  } catch (error) {
    if (!(error instanceof DiscordAPIError)) throw error
    console.warn(`/${interaction.commandName} stays without an answer: ${error.message}`)
  }
}

function hasCode(error: unknown, code: string | number): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}
