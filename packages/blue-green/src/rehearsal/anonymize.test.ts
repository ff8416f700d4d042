import { MemoryStorage } from '@evenkeel/storage-adapter'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { writeRows } from '../migration/snapshot.js'
import { Anonymizer, type AnonymizeOptions } from './anonymize.js'
import { botData, hostileNames } from './bot-data.js'
import { findLeaks, type LeakReport } from './leaks.js'
import { Pseudonyms } from './pseudonyms.js'
import { randomFrom } from './random.js'
import { discordEpoch, isSnowflake, snowflakeAt, timeOf } from './snowflake.js'

const key = 'a key of sixteen bytes or more'
const signal = new AbortController().signal

const snowflakes = fc
  .tuple(fc.integer({ min: discordEpoch + 1e10, max: Date.UTC(2035, 0, 1) }), fc.integer({ min: 0, max: 2 ** 22 - 1 }))
  .map(([ms, low]) => snowflakeAt(ms, low))

describe('the pseudonym of a snowflake', () => {
  it('is a snowflake of the same 25 days and another id, the same each time, and none is given twice', () => {
    fc.assert(
      fc.property(fc.uniqueArray(snowflakes, { maxLength: 60 }), (ids) => {
        const [one, other] = [new Pseudonyms(key), new Pseudonyms(key)]
        const pseudonyms = ids.map((id) => one.id(id))
        expect(new Set(pseudonyms).size).toBe(ids.length)
        for (const [i, pseudonym] of pseudonyms.entries()) {
          expect(isSnowflake(pseudonym)).toBe(true)
          expect(pseudonym).not.toBe(ids[i])
          expect(Math.abs(timeOf(pseudonym) - timeOf(ids[i]!))).toBeLessThan(2 ** 31)
          expect(one.id(ids[i]!)).toBe(pseudonym)
        }
        // In another order, by another process, with the same key.
        for (const id of ids.toReversed()) expect(other.id(id)).toBe(one.id(id))
      }),
    )
  })

  it('keeps the order by time, also of neighbours', () => {
    const near = fc
      .tuple(snowflakes, fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 30 }))
      .map(([first, steps]) => {
        let ms = timeOf(first)
        return [first, ...steps.map((step) => snowflakeAt((ms += step), step))]
      })
    const pseudonyms = new Pseudonyms(key)
    fc.assert(
      fc.property(fc.oneof(fc.array(snowflakes, { maxLength: 40 }), near), (ids) => {
        const sorted = ids.toSorted((a, b) => timeOf(a) - timeOf(b))
        for (const [i, id] of sorted.entries()) {
          const next = sorted[i + 1]
          if (next === undefined || timeOf(next) === timeOf(id)) continue
          expect(BigInt(pseudonyms.id(id)) < BigInt(pseudonyms.id(next))).toBe(true)
        }
      }),
    )
  })

  it('is found by nobody who lacks the key: time and low bits are others', () => {
    const ids = Array.from({ length: 200 }, (_, i) => snowflakeAt(Date.UTC(2024, 0, 1) + i * 1_000_003, i))
    const [one, other] = [new Pseudonyms(key), new Pseudonyms(`${key}!`)]
    const near = ids.filter((id) => Math.abs(timeOf(one.id(id)) - timeOf(id)) < 60_000).length
    expect(near).toBeLessThan(5)
    expect(ids.filter((id) => one.id(id) === other.id(id))).toEqual([])
  })

  it('stays one of its own for every id of one millisecond', () => {
    const pseudonyms = new Pseudonyms(key)
    const ids = Array.from({ length: 500 }, (_, low) => snowflakeAt(Date.UTC(2024, 0, 1), low))
    expect(new Set(ids.map((id) => pseudonyms.id(id))).size).toBe(500)
  })
})

describe('the pseudonym of a text', () => {
  const anyText = fc.string({ unit: 'grapheme', maxLength: 40 })

  it('says nothing of the original, is as long in bytes or longer, and is given once', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(anyText, fc.constantFrom(...hostileNames)), { maxLength: 40 }), (texts) => {
        const pseudonyms = new Pseudonyms(key)
        const given = texts.map((text) => pseudonyms.text(text))
        expect(new Set(given).size).toBe(texts.length)
        for (const [i, text] of texts.entries()) {
          expect(given[i]).toBe(pseudonyms.text(text))
          expect(/\p{Surrogate}/u.test(given[i]!)).toBe(/\p{Surrogate}/u.test(text))
          if (!/[\p{L}\p{N}]/u.test(text)) continue
          expect(given[i]).not.toBe(text)
          expect(Buffer.byteLength(given[i]!)).toBeGreaterThanOrEqual(Buffer.byteLength(text) - text.length)
          for (const word of text.match(/[a-il-pr-uyA-IL-PR-UY0-9]+/g) ?? []) expect(given[i]).not.toContain(word)
        }
      }),
    )
  })

  it('keeps the look of it', () => {
    const pseudonyms = new Pseudonyms(key)
    expect(pseudonyms.text('Alice Müller <alice@example.org>')).toMatch(
      /^[ZQXJVKW][zqxjvkw]{4} [ZQXJVKW].[zqxjvkw]{4} <[zqxjvkw]{5}@[zqxjvkw]{7}\.[zqxjvkw]{3}>$/u,
    )
    expect(pseudonyms.text('日本')).toHaveLength(2)
    expect(pseudonyms.text('!? …')).toBe('!? …')
    expect(pseudonyms.text('')).toBe('')
  })

  it.each([
    ['flags', '\u{1f1e9}\u{1f1ea}\u{1f1eb}\u{1f1f7}'],
    ['a flag that is spelt by tags', '\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}'],
    ['circled letters', 'ⒶⓁⒾⒸⒺ'],
    ['squared letters', '\u{1f130}\u{1f13b}'],
    ['a colour of skin', '\u{1f44d}\u{1f3ff}'],
    ['Braille', '⠁⠇⠊⠉⠑'],
    ['a font of somebody', '\ue001\ue002'],
  ])('has nothing left of %s', (_, text) => {
    const pseudonym = new Pseudonyms(key).text(text)
    for (const sign of text) expect(pseudonym).not.toContain(sign)
  })

  it('has digits for the digits of an id that is no snowflake, and never the same', () => {
    const pseudonyms = new Pseudonyms(key)
    const ids = Array.from({ length: 300 }, (_, i) => String(123_456_000 + i))
    const given = ids.map((id) => pseudonyms.digits(id))
    expect(new Set(given).size).toBe(300)
    expect(given.every((digits, i) => /^[1-9]\d{8}$/.test(digits) && digits !== ids[i])).toBe(true)
    expect(() => Array.from({ length: 10 }, (_, i) => pseudonyms.digits(String(i)))).toThrow(
      'hardly any other ids of 1 digits',
    )
  })
})

const guildId = '81384788765712384'
const userId = '53908099506183680'

/** A store of these rows, anonymised, and what a look for leaks finds in it. */
async function anonymized(
  rows: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  options: AnonymizeOptions = {},
  spoil: (copy: MemoryStorage) => Promise<unknown> = async () => {},
): Promise<{ rows: Record<string, [string, unknown][]>; leaks: LeakReport }> {
  const anonymizer = new Anonymizer({ key, ...options })
  const copy = new MemoryStorage()
  const all = Object.entries(rows).flatMap(([collection, records]) =>
    Object.entries(records).map(([recordKey, value]) => anonymizer.row({ collection, key: recordKey, value })),
  )
  await writeRows(copy, all, signal)
  await spoil(copy)
  const leaks = await findLeaks(copy, anonymizer.pseudonyms, anonymizer.allow, signal)
  const found: Record<string, [string, unknown][]> = {}
  for (const name of await copy.collections()) {
    found[name] = []
    for await (const row of copy.collection(name).scan()) found[name].push([row.key, row.value])
  }
  return { rows: found, leaks }
}

describe('the anonymizer', () => {
  it('gives an id the same pseudonym in keys, fields, lists, names of fields, numbers in texts and nested JSON', async () => {
    const { rows, leaks } = await anonymized({
      guilds: { [guildId]: { id: guildId, owners: [userId], name: 'Secret Society' } },
      members: {
        [`${guildId}:${userId}`]: {
          by: { [userId]: 3 },
          prefs: JSON.stringify({ guild: guildId, deep: `{"u":"${userId}"}` }),
        },
      },
      [`log`]: { [`guild-${guildId}/x`]: 1 },
    })
    const other = new Pseudonyms(key)
    const [guild, user] = [other.id(guildId), other.id(userId)]
    expect(rows['guilds']).toEqual([[guild, { id: guild, owners: [user], name: other.text('Secret Society') }]])
    expect(rows['members']).toEqual([
      [`${guild}:${user}`, { by: { [user]: 3 }, prefs: JSON.stringify({ guild, deep: JSON.stringify({ u: user }) }) }],
    ])
    expect(rows['log']).toEqual([[`guild-${guild}/x`, 1]])
    expect(leaks).toMatchObject({ ids: 2, texts: 1, count: 0 })
  })

  it('keeps what it is told to keep, and numbers, booleans and null', async () => {
    const { rows } = await anonymized(
      { settings: { a: { locale: 'de', modes: ['on', 'off'], inner: { locale: 'fr' }, n: 1.5, b: true, z: null } } },
      { keep: ['settings.locale', 'settings.modes.*', ['settings', 'inner', 'locale']] },
    )
    expect(rows['settings']).toEqual([
      ['a', { locale: 'de', modes: ['on', 'off'], inner: { locale: 'fr' }, n: 1.5, b: true, z: null }],
    ])
  })

  it('replaces ids of other kinds where it is told that they are ids, as numbers and as texts alike', async () => {
    const { rows } = await anonymized(
      { chats: { 'chat:123456789': { id: -123456789, also: '123456789', big: 81384788765712380, year: 2026 } } },
      { ids: ['chats.id', 'chats.also'], userKeys: ['chats'] },
    )
    const other = new Pseudonyms(key)
    const digits = other.digits('123456789')
    const [[recordKey, value]] = rows['chats'] as [[string, Record<string, unknown>]]
    expect(recordKey).toBe(`${other.text('chat')}:${digits}`)
    expect(value).toMatchObject({ id: -Number(digits), also: digits, year: 2026 })
    expect(value['big']).not.toBe(81384788765712380)
  })

  it.each(['123456789', '1001234567890', '81384788765712384'])(
    'replaces %s by one pseudonym in keys, names and values, with a sign or without',
    async (id) => {
      const chat = { id, minus: `-${id}`, [id]: 1, [`-${id}`]: 2 }
      const { rows, leaks } = await anonymized(
        { chats: { [`chat:${id}`]: chat, [`chat:-${id}`]: chat, [`chat-${id}`]: chat }, tags: { [`-${id}`]: 1 } },
        { userKeys: ['tags'] },
      )
      const [other] = Object.keys(rows['chats']?.[0]?.[1] ?? {}).filter((name) => /^\d/.test(name))
      expect(other).toMatch(new RegExp(`^\\d{${id.length}}$`))
      const value = { id: other, minus: `-${other}`, [other!]: 1, [`-${other}`]: 2 }
      const keys = ['chat:', 'chat:-', 'chat-'].map((before) => [before + other, value])
      expect(rows['chats']).toEqual(expect.arrayContaining(keys))
      expect(rows['tags']).toEqual([[`-${other}`, 1]])
      expect(leaks).toMatchObject({ ids: 1, texts: 0, count: 0 })
    },
  )

  it('replaces ids in names of collections, and nothing else of these', async () => {
    const name = `guild-${guildId}`
    const { rows, leaks } = await anonymized(
      { [name]: { a: { locale: 'de' } }, 'x1y1 of Alice': { by: guildId } },
      { keep: [[name, 'locale']] },
    )
    expect(rows).toEqual({
      [`guild-${new Pseudonyms(key).id(guildId)}`]: [['a', { locale: 'de' }]],
      'x1y1 of Alice': [['by', new Pseudonyms(key).id(guildId)]],
    })
    expect(leaks.count).toBe(0)
    const kept = await anonymized({ [name]: { a: 1 } }, { keepNames: [name] })
    expect(Object.keys(kept.rows)).toEqual([name])
  })

  it('replaces names of fields and keys that users gave', async () => {
    const { rows, leaks } = await anonymized(
      { settings: { a: { aliases: { alice: 1, 'Bob & co': 2 } } }, tags: { 'my tag': 'hello there' } },
      { userKeys: ['settings.aliases', 'tags'] },
    )
    expect(JSON.stringify(rows)).not.toMatch(/alice|Bob|tag"|hello/)
    expect(leaks.count).toBe(0)
  })

  it.each([
    ['an address of IPv4', '203.0.113.77'],
    ['one after a word', 'ban-203.0.113.77', /^ban-/],
    ['one with hyphens', 'ip-203-0-113-77', /^ip-/],
    ['an address of IPv6', 'ban:2001:db8::8a2e:370:7334', /^ban:/],
    ['one before a word', '2001:db8::1:voice', /:voice$/],
    ['one beside what looks like a part of it', 'ad:2001:db8:85a3:8d3:1319:8a2e:370:7348'],
    ['one of IPv4 in IPv6', '::ffff:203.0.113.77'],
    ['a hardware address', 'seen:00:1A:2B:3C:4D:5E', /^seen:/],
    ['a token of a session', 'session-MTA0MzU2Nzg5MDEyMzQ1Njc4.abc.def', /^session-/],
    ['a UUID', 'user:aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', /^user:/],
    ['a telephone number', '491701234567', /^[1-9]\d{11}$/],
    ['one with hyphens', 'tel:0170-123-4567', /^tel:/],
    ['a supergroup of Telegram', 'chat:-1001234567890:prefs', /^chat:-[1-9]\d{12}:prefs$/],
    ['one without its sign', '1002012345678', /^[1-9]\d{12}$/],
    ['a group of Telegram', 'chat:-123456789', /^chat:-[1-9]\d{8}$/],
    ['two ids without anything in between', '8138478876571238453908099506183680', /^\d{34}$/],
    ['a name with a year', 'alice1987'],
    ['an address of mail', 'mailto:alice@example.com', /^mailto:/],
    ['a flag', '\u{1f1e9}\u{1f1ea}'],
  ])('replaces %s in keys and names of fields, and keeps what code calls them: %s', async (_, name, like = /./u) => {
    const { rows, leaks } = await anonymized({ seen: { [name]: { [name]: 1, list: [{ [name]: { count: 2 } }] } } })
    expect(JSON.stringify(rows)).not.toContain(name)
    expect(leaks.count).toBe(0)
    const [[recordKey, value]] = rows['seen'] as [[string, Record<string, unknown>]]
    expect(recordKey).toMatch(like)
    expect(value).toEqual({ [recordKey]: 1, list: [{ [recordKey]: { count: 2 } }] })
  })

  it.each(
    'id userId guildID isNSFW maxConcurrentConnections notificationPreferencesV2 DEFAULT_LOG_LEVEL log-channel-id settings.v2.locale ' // prettier-ignore
      .concat(
        '$set _id __proto__ constructor SHA256 base64 utf8 oauth2Token s3Bucket i18nKeys mp3Url x y x1 p95Ms isUpToDate xpToNextLevel 2fa ',
      ) // prettier-ignore
      .concat('en-US zh_Hant iOS pH 17 row:12 stats:2026-01-01 2026-01-01T12:30:00.000Z digest:1767225660000 a/b#c|d') // prettier-ignore
      .split(' '),
  )('keeps %s, as code calls it', async (name) => {
    const { rows } = await anonymized({ all: { [name]: { [name]: 1 } } })
    expect(rows['all']).toEqual([[name, { [name]: 1 }]])
  })

  it('keeps names that it is told to keep, also within a key', async () => {
    const data = { all: { 'version:1.2.3': { x1y1: 1, '1.2.3': 2, 'a:x1y1': 3, 'x2y2': 4 } } } // prettier-ignore
    const { rows } = await anonymized(data, { keepNames: ['x1y1', '1.2.3'] })
    const [[recordKey, value]] = rows['all'] as [[string, Record<string, unknown>]]
    expect(recordKey).toBe('version:1.2.3')
    expect(Object.keys(value).slice(0, 3)).toEqual(['x1y1', '1.2.3', 'a:x1y1'])
    expect(value).not.toHaveProperty('x2y2')
  })

  it('counts the names that it keeps, and tells each of them once', () => {
    const told: string[] = []
    const anonymizer = new Anonymizer({
      userKeys: ['tags'],
      onKept: ({ collection, where, name }) => {
        told.push(`${collection} ${where} ${name}`)
        throw new Error('a listener that throws breaks nothing')
      },
    })
    const rows = [
      { collection: 'users', key: 'user:alice', value: { 'alice-smith': 1, list: [{ score: 1 }, { score: 2 }] } },
      { collection: 'users', key: `user:${userId}`, value: { list: '[{"score":3}]', '203.0.113.77': 1 } },
      { collection: 'tags', key: 'bob', value: { text: 'hi' } },
      { collection: '__proto__', key: 'x', value: 1 },
    ]
    for (const row of rows) anonymizer.row(row)
    expect(told).toEqual([
      ...['users key user', 'users key alice', 'users field alice-smith', 'users field list', 'users field score'],
      ...['tags field text', '__proto__ key x'],
    ])
    const { count, collections } = anonymizer.kept
    expect(count).toBe(7)
    expect(Object.entries(collections)).toEqual([
      ['users', { keys: 2, fields: 3 }],
      ['tags', { keys: 0, fields: 1 }],
      ['__proto__', { keys: 1, fields: 0 }],
    ])
  })

  it('replaces numbers in fields that are called after a telephone, and long ones in texts as in keys', async () => {
    const value = { phone: 491701234567, mobilePhones: [491701234568], at: '491701234569', count: 491701234570, phoneAt: 1767225660000 } // prettier-ignore
    const { rows, leaks } = await anonymized({ users: { '491701234569': value } })
    const [[recordKey, found]] = rows['users'] as [[string, Record<string, unknown>]]
    expect(JSON.stringify(found)).not.toMatch(/49170123456/)
    expect(found['at']).toBe(recordKey)
    expect(found).toMatchObject({ phone: expect.any(Number) as number, count: 491701234570, phoneAt: 1767225660000 })
    expect(leaks).toMatchObject({ ids: 3, count: 0 })
  })

  it('leaves hostile names of fields what they are', async () => {
    const rows = {
      settings: { __proto__x: JSON.parse('{"__proto__":{"polluted":"yes it is"},"constructor":1}') as unknown },
    }
    const { rows: found } = await anonymized(rows)
    const [[, value]] = found['settings'] as [[string, object]]
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  it('leaks nothing of a whole bot', async () => {
    const anonymizer = new Anonymizer({
      keep: ['settings.locale', 'settings.prefix', 'guilds.features.*'],
      userKeys: ['settings.aliases'],
      allow: ['constructor', 'tostring'],
    })
    const copy = new MemoryStorage()
    const original = [...botData({ guilds: 20, maxMembers: 60 })(randomFrom(7))]
    await writeRows(
      copy,
      original.map((row) => anonymizer.row(row)),
      signal,
    )
    const leaks = await findLeaks(copy, anonymizer.pseudonyms, anonymizer.allow, signal)
    expect(leaks.first).toEqual([])
    expect(leaks.ids).toBeGreaterThan(200)
    expect(leaks.texts).toBeGreaterThan(100)
    let count = 0
    for (const name of await copy.collections()) count += await copy.collection(name).count()
    expect(count).toBe(original.length)
  })

  it.each([
    [{ key: 'short' }, 'anonymize.key must have 16 bytes'],
    [{ keep: 'settings' }, 'anonymize.keep must be a list'],
    [{ keep: ['settings..x'] }, 'anonymize.keep must name fields'],
    [{ ids: [7] }, 'anonymize.ids must name fields'],
    [{ userKeys: [[]] }, 'anonymize.userKeys must name fields'],
    [{ allow: [1] }, 'anonymize.allow must be a list of texts'],
    [{ keepNames: 'x1y1' }, 'anonymize.keepNames must be a list of names'],
    [{ onKept: 1 }, 'anonymize.onKept must be a function'],
    [{ kept: [] }, 'no option "kept"'],
  ])('refuses %j', (options, why) => {
    expect(() => new Anonymizer(options as never)).toThrow(why)
  })
})

describe('a look for leaks finds', () => {
  const rows = { guilds: { [guildId]: { name: 'Secret Society', note: 'meet at Été' } } }
  const spoiled: readonly (readonly [string, string, unknown, object])[] = [
    ['an id in a text', 'k', `by ${userId}${guildId}!`, { what: 'id', as: 'plain', field: '' }],
    ['an id in a key', `x${guildId}`, 1, { key: '(an original)', what: 'id', as: 'plain', field: '' }],
    ['a text in a text', 'k', { deep: ['the secret SOCIETY of'] }, { what: 'text', field: 'deep.0' }],
    ['a text in another Unicode form', 'k', { a: 'MEET AT E\u0301TE\u0301' }, { what: 'text', field: 'a' }],
    ['a text as a key', 'Secret Society', 1, { key: '(an original)', what: 'text', field: '' }],
    ['a text as the name of a field', 'k', { 'secret society': 1 }, { what: 'text', field: '(an original)' }],
    [
      'a text in nested JSON',
      'k',
      { a: JSON.stringify({ b: JSON.stringify({ c: 'S\u0065cret Society' }) }) },
      { what: 'text' },
    ],
    ['a text in escaped JSON', 'k', { a: '{"b":"\\u0053ecret Society"}' }, { what: 'text', field: 'a.b' }],
    [
      'a text in base64',
      'k',
      { a: `data:;base64,${Buffer.from('Secret Society').toString('base64')}` },
      { as: 'base64' },
    ],
    ['a text in base64url', 'k', { a: `/u/${Buffer.from('Secret Society').toString('base64url')}` }, { as: 'base64' }],
    ['an id in hex', 'k', { a: Buffer.from(guildId).toString('hex') }, { what: 'id', as: 'hex' }],
    [
      'a text in percent encoding',
      'k',
      { a: `?q=${encodeURIComponent('Secret Society')}&x=%FF` },
      { as: 'percent-encoded' },
    ],
  ]
  it.each(spoiled)('%s', async (_, recordKey, value, leak) => {
    const { leaks } = await anonymized(rows, {}, (copy) => copy.collection('spoiled').set(recordKey, value))
    expect(leaks.count).toBe(1)
    expect(leaks.first[0]).toMatchObject({ collection: 'spoiled', key: recordKey, ...leak })
  })

  it('an id that is no snowflake, where it stands alone', async () => {
    const chats = { 'chat:123456': { id: 123456, n: 5_123_456, near: 'about 1234567' } }
    const { leaks } = await anonymized({ chats }, { ids: ['chats.id'], keep: ['chats.near'] })
    expect(leaks).toMatchObject({ ids: 1, count: 1, first: [{ key: '(an original)', what: 'id' }] })
    const named = await anonymized({ chats }, { ids: ['chats.id'], keep: ['chats.near'], userKeys: ['chats'] })
    expect(named.leaks.count).toBe(0)
  })

  it('an original in the name of a collection, which is told of no row in it either', async () => {
    const data = { notes: { a: { by: 'Alice Smith', id: '123456789' } } }
    const spoil = async (copy: MemoryStorage): Promise<void> => {
      await copy.collection('chat_123456789').set('k', 'about Alice Smith')
      await copy.collection('tags of Alice Smith').set('k', 1)
      // A text that says what code calls a collection.
      await copy.collection('alice').set('k', 1)
    }
    const { leaks } = await anonymized({ ...data, names: { b: 'alice' } }, {}, spoil)
    expect(leaks.count).toBe(3)
    expect(leaks.first).toMatchObject([
      { collection: '(an original)', key: '', field: '', what: 'id' },
      { collection: '(an original)', key: '', field: '', what: 'text' },
      { collection: '(an original)', key: 'k', field: '', what: 'text' },
    ])
    const { leaks: allowed } = await anonymized(data, { allow: ['123456789', 'Alice Smith'] }, spoil)
    expect(allowed.count).toBe(0)
  })

  it('no leak in a pseudonym that is by chance the id of another', async () => {
    const chats = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`c${i}`, { id: 10_000 + i }]))
    const { leaks } = await anonymized({ chats }, { ids: ['chats.id'] })
    expect(leaks.count).toBe(0)
    expect(leaks.ids).toBeGreaterThan(500)
  })

  it('and tells no original, also not where it tells of another one', async () => {
    const value = { 'secret society': { [guildId]: `by ${guildId}` } }
    const { leaks } = await anonymized(rows, {}, (copy) => copy.collection('spoiled').set(`for ${guildId}`, value))
    expect(leaks.count).toBe(4)
    expect(JSON.stringify(leaks)).not.toContain(guildId)
    expect(JSON.stringify(leaks)).not.toMatch(/secret/i)
  })

  it('a field that was kept although it names somebody, unless that is allowed', async () => {
    const data = { guilds: { a: { name: 'Secret Society', title: 'Secret Society' } } }
    expect((await anonymized(data, { keep: ['guilds.title'] })).leaks.count).toBe(1)
    const allowed = await anonymized(data, { keep: ['guilds.title'], allow: ['secret society'] })
    expect(allowed.leaks).toMatchObject({ count: 0, texts: 0, skippedTexts: 1 })
  })

  it('no leak in the name of a field that has an original in it', async () => {
    const { leaks } = await anonymized({ guilds: { a: { nickname: 'name', other: 'xy' } } })
    expect(leaks).toMatchObject({ count: 0, texts: 1, skippedTexts: 1 })
  })
})

describe('botData', () => {
  const rows = [...botData({ guilds: 30, maxMembers: 90, maxReminders: 60 })(randomFrom(1))]
  const of = (name: string) => rows.filter(({ collection }) => collection === name)

  it('is the same for the same seed, and another for another', () => {
    const options = { guilds: 30, maxMembers: 90, maxReminders: 60 }
    expect([...botData(options)(randomFrom(1))]).toEqual(rows)
    expect([...botData(options)(randomFrom(2))]).not.toEqual(rows)
  })

  it('has guilds as unequal as Zipf says, and every reference holds', () => {
    const sizes = of('guilds').map(({ key: id }) => of('members').filter((row) => row.key.startsWith(`${id}:`)).length)
    expect(sizes.toSorted((a, b) => b - a).slice(0, 3)).toEqual([90, 45, 30])
    const [guilds, users] = [new Set(of('guilds').map((row) => row.key)), new Set(of('users').map((row) => row.key))]
    for (const { value } of [...of('members'), ...of('reminders')]) {
      const { guildId: guild, userId: user } = value as { guildId: string; userId: string }
      expect([guilds.has(guild), users.has(user)]).toEqual([true, true])
    }
    expect(new Set(rows.map(({ collection, key: id }) => `${collection} ${id}`)).size).toBe(rows.length)
  })

  it('has snowflakes that are true to their time, and every hostile name that a store takes', async () => {
    const store = new MemoryStorage()
    expect(await writeRows(store, rows, signal)).toBe(rows.length)
    for (const { key: id, value } of of('guilds')) {
      expect(isSnowflake(id)).toBe(true)
      expect(timeOf(id)).toBeGreaterThan(discordEpoch)
      expect((value as { joinedAt: number }).joinedAt).toBeGreaterThanOrEqual(timeOf(id))
    }
    for (const { key: id, value } of of('reminders')) {
      expect(timeOf(id)).toBeGreaterThanOrEqual(timeOf((value as { guildId: string }).guildId))
    }
    expect(rows.some(({ value }) => (value as { name?: string }).name === '__proto__')).toBe(true)
  })

  it.each([[{ guilds: 0 }], [{ maxMembers: 0.5 }], [{ maxReminders: -1 }], [{ until: 0 }], [{ guild: 1 }]])(
    'refuses %j',
    (options) => {
      expect(() => botData(options as never)).toThrow(/guilds|maxMembers|maxReminders|until|no option/)
    },
  )
})
