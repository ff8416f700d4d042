import {
  ApplicationCommandOptionType,
  ApplicationCommandType,
  ApplicationFlags,
  ApplicationIntegrationType,
  ChannelType,
  ComponentType,
  GuildDefaultMessageNotifications,
  GuildExplicitContentFilter,
  GuildMFALevel,
  GuildNSFWLevel,
  GuildPremiumTier,
  GuildVerificationLevel,
  InteractionContextType,
  InteractionType,
  Locale,
  MessageType,
  type APIApplication,
  type APIApplicationCommandInteractionDataBasicOption,
  type APIApplicationCommandInteractionDataOption,
  type APIChatInputApplicationCommandGuildInteraction,
  type APIGuildInteractionWrapper,
  type APIGuild,
  type APIGuildMember,
  type APIMessage,
  type APIMessageComponentButtonInteraction,
  type APIMessageInteractionMetadata,
  type APITextChannel,
  type APIUser,
  type GatewayGuildCreateDispatchData,
  type GatewayReadyDispatchData,
} from 'discord-api-types/v10'
import type { CommandOptions } from './ledger.js'
import type { StandinGuild, World } from './world.js'

/** Everything allowed: permissions are not what this stand-in is about. */
const allPermissions = '2251799813685247'
/** A number, because an enum of flags takes its own members or any number, but not a literal 0. */
const noFlags: number = 0
const joinedAt = '2025-01-01T00:00:00.000000+00:00'

/** The bot itself. */
export function botUser(world: World): APIUser {
  return { ...user(world.botId, 'standin-bot'), discriminator: '0001', bot: true, verified: true, flags: noFlags }
}

/** The bot's application. */
export function application(world: World): APIApplication {
  return {
    id: world.botId,
    name: 'standin-bot',
    icon: null,
    description: '',
    summary: '',
    bot_public: false,
    bot_require_code_grant: false,
    bot: botUser(world),
    verify_key: '0'.repeat(64),
    team: null,
    flags: ApplicationFlags.GatewayMessageContentLimited,
    flags_new: ApplicationFlags.GatewayMessageContentLimited.toString(),
  }
}

/** READY: names the guilds, which follow one by one. */
export function ready(
  world: World,
  guilds: readonly StandinGuild[],
  session: { readonly id: string; readonly shard: [number, number]; readonly url: string },
): GatewayReadyDispatchData {
  return {
    v: 10,
    user: botUser(world),
    guilds: guilds.map((guild) => ({ id: guild.id, unavailable: true })),
    session_id: session.id,
    resume_gateway_url: session.url,
    shard: session.shard,
    application: { id: world.botId, flags: noFlags, flags_new: String(noFlags) },
  }
}

/** A guild as REST gives it. */
export function guild(guild: StandinGuild): APIGuild {
  return {
    id: guild.id,
    name: guild.name,
    icon: null,
    splash: null,
    discovery_splash: null,
    owner_id: guild.memberIds[0] ?? guild.id,
    afk_channel_id: null,
    afk_timeout: 300,
    verification_level: GuildVerificationLevel.None,
    default_message_notifications: GuildDefaultMessageNotifications.AllMessages,
    explicit_content_filter: GuildExplicitContentFilter.Disabled,
    // The role of everyone bears the guild's own id.
    roles: [
      {
        id: guild.id,
        name: '@everyone',
        color: 0,
        colors: { primary_color: 0, secondary_color: null, tertiary_color: null },
        hoist: false,
        position: 0,
        permissions: allPermissions,
        managed: false,
        mentionable: false,
        flags: noFlags,
      },
    ],
    emojis: [],
    stickers: [],
    features: [],
    mfa_level: GuildMFALevel.None,
    application_id: null,
    system_channel_id: null,
    system_channel_flags: noFlags,
    rules_channel_id: null,
    public_updates_channel_id: null,
    safety_alerts_channel_id: null,
    vanity_url_code: null,
    description: null,
    banner: null,
    premium_tier: GuildPremiumTier.None,
    premium_progress_bar_enabled: false,
    preferred_locale: Locale.EnglishUS,
    nsfw_level: GuildNSFWLevel.Default,
    hub_type: null,
    incidents_data: null,
  }
}

/** What discord.js waits for, one for each guild named in READY, before it calls itself ready. */
export function guildCreate(world: World, of: StandinGuild): GatewayGuildCreateDispatchData {
  return {
    ...guild(of),
    joined_at: joinedAt,
    large: false,
    unavailable: false,
    member_count: of.memberIds.length + 1,
    // Without the privileged members intent Discord names the bot alone.
    members: [member(botUser(world))],
    channels: [textChannel(of)],
    threads: [],
    presences: [],
    voice_states: [],
    stage_instances: [],
    guild_scheduled_events: [],
    soundboard_sounds: [],
  }
}

/** The one channel of a guild. */
export function textChannel(guild: StandinGuild): APITextChannel {
  return {
    id: guild.channelId,
    type: ChannelType.GuildText,
    guild_id: guild.id,
    name: 'general',
    position: 0,
    permission_overwrites: [],
    nsfw: false,
    parent_id: null,
    topic: null,
    last_message_id: null,
    rate_limit_per_user: 0,
  }
}

/** INTERACTION_CREATE of a slash command that a member runs. */
export function commandInteraction(
  world: World,
  guild: StandinGuild,
  command: {
    readonly id: string
    readonly token: string
    readonly userId: string
    /** `remind`, or `remind add` for a subcommand, as Discord shows it. */
    readonly name: string
    readonly commandId: string
    readonly options: CommandOptions
  },
): APIChatInputApplicationCommandGuildInteraction {
  const [name = '', ...subcommands] = command.name.split(' ')
  return {
    ...interaction(world, guild, command),
    type: InteractionType.ApplicationCommand,
    data: {
      id: command.commandId,
      name,
      type: ApplicationCommandType.ChatInput,
      options: nest(subcommands, Object.entries(command.options).map(option)),
    },
  }
}

/** INTERACTION_CREATE of a button that a member presses. */
export function buttonInteraction(
  world: World,
  guild: StandinGuild,
  press: {
    readonly id: string
    readonly token: string
    readonly userId: string
    readonly message: APIMessage
    readonly customId: string
  },
): APIGuildInteractionWrapper<APIMessageComponentButtonInteraction> {
  return {
    ...interaction(world, guild, press),
    type: InteractionType.MessageComponent,
    message: press.message,
    data: { custom_id: press.customId, component_type: ComponentType.Button },
  }
}

/** What a message says of the command or the press that it answers. */
export function answered(
  guildId: string,
  to: { readonly id: string; readonly userId: string; readonly pressedId: string | undefined },
): APIMessageInteractionMetadata {
  const common = {
    id: to.id,
    user: person(to.userId),
    authorizing_integration_owners: { [ApplicationIntegrationType.GuildInstall]: guildId },
  }
  return to.pressedId === undefined
    ? { ...common, type: InteractionType.ApplicationCommand }
    : { ...common, type: InteractionType.MessageComponent, interacted_message_id: to.pressedId }
}

/** A message that the bot wrote. */
export function message(
  world: World,
  made: {
    readonly id: string
    readonly channelId: string
    readonly at: number
    readonly body: {
      readonly content?: string | null | undefined
      readonly embeds?: APIMessage['embeds'] | null | undefined
      readonly components?: APIMessage['components'] | null | undefined
      readonly nonce?: string | number | undefined
    }
    readonly flags: number
    readonly answers?: APIMessageInteractionMetadata
  },
): APIMessage {
  const { content, embeds, components, nonce } = made.body
  return {
    id: made.id,
    type: MessageType.Default,
    channel_id: made.channelId,
    author: botUser(world),
    content: content ?? '',
    timestamp: new Date(made.at).toISOString(),
    edited_timestamp: null,
    tts: false,
    mention_everyone: false,
    mentions: [],
    mention_roles: [],
    attachments: [],
    embeds: embeds ?? [],
    components: components ?? [],
    pinned: false,
    flags: made.flags,
    ...(made.answers === undefined ? {} : { interaction_metadata: made.answers }),
    ...(nonce === undefined ? {} : { nonce }),
  }
}

/** What every INTERACTION_CREATE says: who did it, where, and how it is answered. */
function interaction(
  world: World,
  guild: StandinGuild,
  { id, token, userId }: { readonly id: string; readonly token: string; readonly userId: string },
): Omit<APIChatInputApplicationCommandGuildInteraction, 'type' | 'data'> {
  return {
    id,
    application_id: world.botId,
    token,
    version: 1,
    guild_id: guild.id,
    guild: { id: guild.id, locale: Locale.EnglishUS, features: [] },
    guild_locale: Locale.EnglishUS,
    channel_id: guild.channelId,
    channel: textChannel(guild),
    member: { ...member(person(userId)), permissions: allPermissions },
    app_permissions: allPermissions,
    locale: Locale.EnglishUS,
    entitlements: [],
    authorizing_integration_owners: { [ApplicationIntegrationType.GuildInstall]: guild.id },
    context: InteractionContextType.Guild,
    attachment_size_limit: 10 * 1024 ** 2,
  }
}

function person(id: string): APIUser {
  return user(id, `member-${id}`)
}

function user(id: string, username: string): APIUser {
  return { id, username, discriminator: '0', global_name: username, avatar: null }
}

function member(of: APIUser): APIGuildMember {
  return { user: of, roles: [], joined_at: joinedAt, deaf: false, mute: false, flags: noFlags }
}

function option([name, value]: [
  string,
  string | number | boolean,
]): APIApplicationCommandInteractionDataBasicOption<InteractionType.ApplicationCommand> {
  if (typeof value === 'string') return { name, type: ApplicationCommandOptionType.String, value }
  if (typeof value === 'boolean') return { name, type: ApplicationCommandOptionType.Boolean, value }
  return Number.isInteger(value)
    ? { name, type: ApplicationCommandOptionType.Integer, value }
    : { name, type: ApplicationCommandOptionType.Number, value }
}

/** `[]`: the options themselves; `['add']`: a subcommand around them; `['admin', 'add']`: a group around that. */
function nest(
  subcommands: readonly string[],
  options: APIApplicationCommandInteractionDataBasicOption<InteractionType.ApplicationCommand>[],
): APIApplicationCommandInteractionDataOption<InteractionType.ApplicationCommand>[] {
  const [outer, inner] = subcommands
  if (outer === undefined) return options
  if (inner === undefined) return [{ name: outer, type: ApplicationCommandOptionType.Subcommand, options }]
  const subcommand = { name: inner, type: ApplicationCommandOptionType.Subcommand, options } as const
  return [{ name: outer, type: ApplicationCommandOptionType.SubcommandGroup, options: [subcommand] }]
}
