import { seededRandom } from './random.js'
import { snowflakeAt } from './snowflake.js'

const membersPerGuild = 5
/** Guilds, channels and people were made at some time in these years. */
const madeFromMs = Date.UTC(2018, 0, 1)
const madeUntilMs = Date.UTC(2025, 0, 1)

/** A guild that the bot is in, with the one channel it talks in. */
export interface StandinGuild {
  readonly id: string
  readonly name: string
  readonly channelId: string
  /** Who may run commands. The first one owns the guild. */
  readonly memberIds: readonly string[]
}

/** Everything that exists before the bot logs in. */
export interface World {
  /** The bot's user id; its application has the same one, as those of today's bots do. */
  readonly botId: string
  readonly token: string
  readonly guilds: readonly StandinGuild[]
  readonly guildById: ReadonlyMap<string, StandinGuild>
  readonly guildByChannelId: ReadonlyMap<string, StandinGuild>
}

/** The same seed makes the same ids, so that a bot which buckets by guild id decides alike in every run. */
export function createWorld(guildCount: number, seed: number): World {
  const random = seededRandom(seed)
  const taken = new Set<string>()
  const newId = (): string => {
    const id = snowflakeAt(madeFromMs + random() * (madeUntilMs - madeFromMs), Math.floor(random() * 2 ** 22))
    if (taken.has(id)) return newId()
    taken.add(id)
    return id
  }

  const botId = newId()
  const guilds = Array.from({ length: guildCount }, (_, index) => ({
    id: newId(),
    name: `Guild ${index + 1}`,
    channelId: newId(),
    memberIds: Array.from({ length: membersPerGuild }, newId),
  }))
  return {
    botId,
    // Three parts, the first of them the id, as in a real token; and plainly not a real one.
    token: `${Buffer.from(botId).toString('base64url')}.standin.${'x'.repeat(27)}`,
    guilds,
    guildById: new Map(guilds.map((guild) => [guild.id, guild])),
    guildByChannelId: new Map(guilds.map((guild) => [guild.channelId, guild])),
  }
}
