import { readCount, requireKnown } from '../checked-options.js'
import type { RecordToWrite } from '../migration/ports.js'
import { discordEpoch, snowflakeAt } from './snowflake.js'

/** How much data {@link botData} makes. */
export interface BotDataOptions {
  /** How many guilds. */
  readonly guilds?: number | undefined
  /** How many members the largest guild has; the next has half as many, the third a third (Zipf). */
  readonly maxMembers?: number | undefined
  /** How many reminders the largest guild has; the others alike. */
  readonly maxReminders?: number | undefined
  /** When the data ends, in epoch ms: nothing was made later. The same for the same seed, so it is no "now". */
  readonly until?: number | undefined
}

/** The value of each field of {@link BotDataOptions} that is not given. */
export const botDataDefaults: Readonly<Record<keyof BotDataOptions, number>> = {
  guilds: 100,
  maxMembers: 500,
  maxReminders: 100,
  until: Date.UTC(2026, 0, 1),
}

/** A row that is generated. */
export type GeneratedRow = Omit<RecordToWrite, 'type'>

/** Makes rows, the same for the same chance. */
export type Generate = (random: () => number) => Iterable<GeneratedRow> | AsyncIterable<GeneratedRow>

/** Names that have broken something somewhere. */
export const hostileNames: readonly string[] = [
  ...['', ' ', '__proto__', 'constructor', 'toString', 'null', 'undefined', 'NaN', '0', '-1', '1e999', 'true'],
  ...['%_', '*?[a-z]', "'; DROP TABLE guilds; --", '"quoted"', 'back\\slash', '<script>alert(1)</script>', '{{7*7}}'],
  // NFC beside NFD, a change of direction, a joined family, a flag, a ligature, line ends that are none, NUL, a long one.
  ...[
    'é',
    'e\u0301',
    '\u202etxt.exe',
    '👨‍👩‍👧‍👦',
    '🏴‍☠️',
    'ﬁ',
    'a\u2028b',
    'a\r\nb',
    'a\u0000b',
    '\ufeff',
    'Z͑ͫ̓a̴l̀g̀o',
    'x'.repeat(100),
  ],
]

const words = [
  ...[
    'Tea',
    'Chess',
    'Rust',
    'Lounge',
    'Büro',
    'Café',
    'Ночь',
    'Игры',
    '東京',
    '勉強',
    '서울',
    'مقهى',
    'शतरंज',
    'Ελλάδα',
    'Đà Nẵng',
  ],
  ...['Fox', 'Moon', 'Guild', 'Raid', 'Study', 'Music', 'Anime', 'Garden', '🦊', '✨', '🎲'],
]

const locales = ['en-US', 'de', 'fr', 'ja', 'ru', 'pt-BR', 'zh-CN', 'ko', 'tr']

/**
 * Generates the data of a bot that has lived: `guilds`, `users`, `members` (by `guildId:userId`), `reminders` and `settings`. Guilds
 * are as unequal as real ones (Zipf), users are in several, ids are snowflakes whose time is that of what they name, and one name in
 * eight is hostile.
 *
 * @throws RangeError when an amount is none
 *
 * @example
 * ```ts
 * import { botData } from '@evenkeel/blue-green/rehearsal'
 *
 * let draw = 0
 * const rows = [...botData({ guilds: 2, maxMembers: 3 })(() => (draw = (draw + 0.37) % 1))]
 * console.log(rows.filter(({ collection }) => collection === 'guilds').length) // => 2
 * ```
 */
export function botData(options: BotDataOptions = {}): (random: () => number) => Iterable<GeneratedRow> {
  requireKnown('botData', options, Object.keys(botDataDefaults))
  const guilds = readCount('guilds', options.guilds ?? botDataDefaults.guilds, 1)
  const maxMembers = readCount('maxMembers', options.maxMembers ?? botDataDefaults.maxMembers, 1)
  const maxReminders = readCount('maxReminders', options.maxReminders ?? botDataDefaults.maxReminders, 0)
  const until = options.until ?? botDataDefaults.until
  if (!(until > discordEpoch + yearMs)) throw new RangeError(`until must be epoch ms after 2015, not ${String(until)}`)
  return (random) => rowsOfBot({ guilds, maxMembers, maxReminders, until }, random)
}

const yearMs = 365 * 24 * 3_600_000

function* rowsOfBot(
  { guilds, maxMembers, maxReminders, until }: Readonly<Record<keyof BotDataOptions, number>>,
  random: () => number,
): Generator<GeneratedRow> {
  const upTo = (count: number): number => Math.floor(random() * count)
  const oneOf = <T>(list: readonly T[]): T => list[upTo(list.length)]!
  const taken = new Set<string>()
  /** Made after `since`, and the only one of its kind. */
  const idSince = (since: number): string => {
    for (;;) {
      const id = snowflakeAt(since + random() * (until - since), upTo(2 ** 22))
      if (taken.has(id)) continue
      taken.add(id)
      return id
    }
  }
  const name = (): string => (random() < 1 / 8 ? oneOf(hostileNames) : `${oneOf(words)} ${oneOf(words)}`)
  const timeAfter = (id: string): number => {
    const made = Number(BigInt(id) >> 22n) + discordEpoch
    return Math.floor(made + random() * (until - made))
  }
  const users = Array.from({ length: Math.max(1, Math.ceil(maxMembers * 1.5)) }, () =>
    idSince(discordEpoch + yearMs / 2),
  )
  for (const id of users) yield { collection: 'users', key: id, value: { id, name: name(), isBot: random() < 0.02 } }
  const ranks = Array.from({ length: guilds }, (_, i) => ({ rank: i + 1, at: random() })).sort((a, b) => a.at - b.at)
  for (const { rank } of ranks) {
    const id = idSince(discordEpoch + yearMs)
    const members = new Set<string>()
    // Sizes fall as 1/rank; a guild has an owner at least.
    for (let size = Math.max(1, Math.floor(maxMembers / rank)); members.size < size;) members.add(oneOf(users))
    const [ownerId] = members
    const features = ['COMMUNITY', 'NEWS', 'PARTNERED'].filter(() => random() < 0.2)
    yield { collection: 'guilds', key: id, value: { id, name: name(), ownerId, joinedAt: timeAfter(id), features } }
    const logChannelId = idSince(Number(BigInt(id) >> 22n) + discordEpoch)
    const aliases = Object.fromEntries(Array.from({ length: upTo(4) }, () => [name(), '/remind']))
    const settings = { guildId: id, locale: oneOf(locales), prefix: oneOf(['!', '?', '>>']), aliases }
    // As careless as life: JSON in a text.
    yield {
      collection: 'settings',
      key: id,
      value: { ...settings, logging: JSON.stringify({ logChannelId, level: 2 }) },
    }
    for (const userId of members) {
      const nick = random() < 0.3 ? name() : null
      const value = { guildId: id, userId, nick, joinedAt: timeAfter(id) }
      yield { collection: 'members', key: `${id}:${userId}`, value }
    }
    const writers = [...members]
    for (let i = Math.floor(maxReminders / rank); i > 0; i--) {
      const [userId, reminderId] = [oneOf(writers), idSince(Number(BigInt(id) >> 22n) + discordEpoch)]
      const text = random() < 0.2 ? `<@${oneOf(writers)}> ${name()}` : name()
      const dueAt = until + upTo(yearMs)
      const repeatMs = random() < 0.2 ? 86_400_000 * (1 + upTo(7)) : null
      yield {
        collection: 'reminders',
        key: reminderId,
        value: { id: reminderId, guildId: id, userId, text, dueAt, repeatMs },
      }
    }
  }
}
