import { Gate, type Visit } from '../gate/gate.js'
import { gateSettings, type CommandRule, type GateOptions } from '../gate/gate-options.js'
import { Acknowledgement } from './acknowledgement.js'
import { commandNameOf, isAutocomplete, type GatedInteraction } from './interaction.js'

/** What decides about one command, and how it is deferred. */
export interface DiscordCommandRule<Feature extends string = string, Flag extends string = string> extends CommandRule<
  Feature,
  Flag
> {
  /**
   * How it is deferred when its answer takes long: for all to see, for its user alone, or not at all, as a command must
   * that shows a modal. The answer is shown as the handler wants it shown, whichever it is.
   *
   * @defaultValue `'public'`
   */
  readonly deferral?: 'public' | 'ephemeral' | 'none' | undefined
}

/** What a {@link discordGate} is made of. */
export interface DiscordGateOptions<
  Feature extends string,
  Flag extends string,
  Interaction extends GatedInteraction = GatedInteraction,
> extends GateOptions<Feature, Flag, Interaction, DiscordCommandRule<NoInfer<Feature>, NoInfer<Flag>>> {
  /**
   * After how many ms without an answer it is deferred, counted from its arrival; more than 0 and less than the 3,000
   * that Discord waits.
   *
   * @defaultValue `1_500`
   */
  readonly deferAfterMs?: number | undefined
}

/** The defaults of {@link DiscordGateOptions}, beside those of every gate. */
export const discordGateDefaults: Readonly<Record<'deferAfterMs', number>> = {
  // Discord counts from the moment when it sent the event: half is left for both ways and for a busy event loop.
  deferAfterMs: 1_500,
} satisfies Required<Pick<DiscordGateOptions<string, string>, 'deferAfterMs'>>

/** The defaults of {@link DiscordCommandRule}. */
export const discordCommandDefaults: Readonly<Record<'deferral', 'public'>> = { deferral: 'public' } satisfies Required<
  Pick<DiscordCommandRule, 'deferral'>
>

const deferrals: readonly unknown[] = ['public', 'ephemeral', 'none']
/** What Discord waits for a first answer, ms. */
const DISCORD_WAITS_MS = 3_000

/**
 * Wraps the handler of a bot's interactions: what is switched off or has no place is answered politely and privately,
 * what matters is handled first, and every command is acknowledged in time, once.
 *
 * @remarks
 * A command whose handler has not answered within `deferAfterMs` is deferred, and what the handler says then (`reply`,
 * `deferReply`, `update`) is said in the way that is still open, as private as the handler wants it. Suggestions that are
 * not served are answered with none.
 *
 * What the handler throws passes through. A `ShedError` from a guard inside it is told to the user instead. So is an
 * error after a deferral of the gate's own, which then passes through too: the user would wait for ever.
 *
 * *Gotchas*: a modal can only be a first answer: give its command `deferral: 'none'`. A handler that waits for a button
 * holds its place meanwhile. Two copies of the bot on one token answer each other's commands: that is what
 * `@evenkeel/blue-green` is for.
 *
 * @param options - the commands, and who decides about them
 * @returns wraps a handler; the wrapped one resolves when the command was handled, or its user was told
 * @throws TypeError or RangeError when an option is missing, does not exist or is out of range
 *
 * @example
 * ```ts
 * import { DegradationManager } from '@evenkeel/degradation-manager'
 * import { discordGate } from '@evenkeel/degradation-manager/discord'
 *
 * const modes = new DegradationManager({ features: { translate: { priority: 'optional' } } })
 * const gate = discordGate({ modes, commands: { translate: { feature: 'translate' } } })
 * const onInteraction = gate(async (interaction) => {
 *   await interaction.reply?.({ content: 'Good day', flags: 'Ephemeral' })
 * })
 * // client.on('interactionCreate', onInteraction)
 * await modes.setMode('DEGRADED', { why: 'the translation service is slow', forMs: 120_000 })
 * await onInteraction({
 *   id: '1',
 *   guildId: '81384788765712384',
 *   user: { id: '53908099506183680' },
 *   locale: 'en-US',
 *   commandName: 'translate',
 *   reply: async ({ content }) => console.log(content), // => /translate is taking a break. Please try again in 2 minutes.
 * })
 * ```
 */
export function discordGate<
  Feature extends string,
  Flag extends string,
  Interaction extends GatedInteraction = GatedInteraction,
>(
  options: DiscordGateOptions<Feature, Flag, Interaction>,
): <Handled extends Interaction>(handle: (interaction: Handled) => unknown) => (interaction: Handled) => Promise<void> {
  const settings = gateSettings<Interaction, DiscordCommandRule<never, never>>(
    options as DiscordGateOptions<never, never, Interaction>,
    { options: ['deferAfterMs'], rule: ['deferral'] },
  )
  const { deferAfterMs = discordGateDefaults.deferAfterMs } = options
  if (!(deferAfterMs > 0 && deferAfterMs < DISCORD_WAITS_MS)) {
    throw new RangeError(
      `deferAfterMs is ${String(deferAfterMs)}; give ms, more than 0 and less than ${DISCORD_WAITS_MS}`,
    )
  }
  for (const [name, { deferral }] of settings.rules) {
    if (deferral === undefined || deferrals.includes(deferral)) continue
    throw new TypeError(`commands.${name}.deferral is ${String(deferral)}; it can be ${deferrals.join(', ')}`)
  }
  const gate = new Gate(settings)

  return (handle) => async (interaction) => {
    const visit: Visit<Interaction> = {
      event: interaction,
      command: settings.command?.(interaction) ?? commandNameOf(interaction),
      guildId: interaction.guildId ?? undefined,
      userId: interaction.user.id,
      locale: interaction.locale,
      isSuggestion: isAutocomplete(interaction),
    }
    const { deferral = discordCommandDefaults.deferral } = gate.ruleOf(visit.command) ?? {}
    const acknowledgement = new Acknowledgement(interaction)
    const cancel =
      deferral === 'none' && !visit.isSuggestion
        ? undefined
        : settings.clock.after(deferAfterMs, () => {
            const visibility = deferral === 'ephemeral' ? 'ephemeral' : 'public'
            acknowledgement.defer(visibility).catch((error: unknown) => gate.unanswered(visit, error))
          })
    try {
      await gate.pass(visit, { handle: () => handle(interaction), refuse: (words) => acknowledgement.say(words) })
    } catch (error) {
      if (await acknowledgement.owes()) {
        await acknowledgement.say(gate.words(error, visit)).catch((unsaid: unknown) => gate.unanswered(visit, unsaid))
      }
      throw error
    } finally {
      cancel?.()
    }
  }
}
