import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Anonymizer } from './anonymize.js'
import { readData } from './data.js'
import { randomFrom } from './random.js'
import { snowflakeAt } from './snowflake.js'

// That no original is left is shown without the code that looks for originals: by a plain search through all text.

const key = 'a key of sixteen bytes or more'

const people = fc.uniqueArray(
  fc.oneof(
    fc
      .tuple(fc.integer({ min: 0, max: 2 ** 22 - 1 }), fc.integer({ min: 1, max: 3e11 }))
      .map(([low, ms]) => snowflakeAt(Date.UTC(2016, 0, 1) + ms, low)),
    // Letters that no pseudonym has, so that none is there by chance; with spaces, signs and other scripts.
    fc.stringMatching(/^[abcdefghilmnoprstuy]{3,12} [ABCDEFGHILMNOPRSTUY]{2,8}$/),
    fc.stringMatching(/^[あ-ん]{3,8}$/),
    fc.stringMatching(/^[бвгджзийклмн]{4,9}@[abcdefgh]{3,6}\.example$/),
  ),
  { minLength: 1, maxLength: 8 },
)

/** A value in which each of these stands somewhere: in texts, lists, names of fields, and JSON in JSON. */
function valueOf(texts: readonly string[], shape: readonly number[]): unknown {
  return texts.reduce<unknown>((inner, text, i) => {
    switch ((shape[i % shape.length] ?? 0) % 7) {
      case 0:
        return { name: text, inner }
      case 1:
        return { note: `hello ${text}, and bye`, inner }
      case 2:
        return [inner, text]
      case 3:
        return { [text]: 1, inner }
      case 4:
        return JSON.stringify({ text, inner })
      case 5:
        return { [`by ${text}:x`]: [text], json: JSON.stringify([JSON.stringify({ deep: text })]), inner }
      default:
        return { mention: `<@${text}>`, inner }
    }
  }, 7)
}

/** All text of a value, with the JSON in it read. */
function allText(value: unknown): string {
  if (typeof value === 'string') {
    try {
      if (/^\s*[[{]/.test(value)) return value + '\n' + allText(JSON.parse(value))
    } catch {
      // Then it is only text.
    }
    return value
  }
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([name, inner]) => `${name}\n${allText(inner)}`)
    .join('\n')
}

const rows = fc.tuple(people, fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }), fc.nat(3))

describe('of what named a person', () => {
  it('nothing is left in keys, values, names of fields, texts and nested JSON', () => {
    fc.assert(
      fc.property(rows, ([texts, shape, at]) => {
        const recordKey = `row:${texts[at % texts.length]!}:x`
        const row = new Anonymizer({ key }).row({ collection: 'notes', key: recordKey, value: valueOf(texts, shape) })
        const left = `${row.key}\n${allText(row.value)}`.toLowerCase()
        for (const text of texts) expect(left).not.toContain(text.toLowerCase())
        expect(row.key).toMatch(/^row:/)
      }),
      { numRuns: 300 },
    )
  })

  it('no address, token, number or id is left that was a key, the name of a field, or a part of either', () => {
    const bytes = (min: number, max: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength: min, maxLength: max }).map((array) => Buffer.from(array))
    // Of random bytes: a token of zeros only is none.
    const random = (length: number): fc.Arbitrary<Buffer> =>
      fc.integer().map((seed) => {
        const next = randomFrom(seed)
        return Buffer.from(Array.from({ length }, () => Math.floor(next() * 256)))
      })
    const looksLikeData = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((address) => /[\da-f]/i.test(address)),
      bytes(4, 4).map((each) => `ip-${[...each].join('-')}`),
      fc.uuid(),
      fc.ulid(),
      random(32).map((each) => each.toString('base64url')),
      random(32).map((each) => `session-${each.toString('base64url')}.x`),
      random(16).map((each) => each.toString('hex')),
      fc.emailAddress(),
      fc
        .integer({ min: 2e9, max: 9e14 })
        .map(String)
        // Epoch ms of 2004 to 2033.
        .filter((number) => !/^1[1-9]\d{11}$/.test(number)),
      fc.integer({ min: 1e9, max: 3e9 }).map((number) => `-100${number}`),
      fc.integer({ min: 1, max: 2 ** 22 }).map((low) => snowflakeAt(Date.UTC(2020, 0, 1) + low, low)),
    )
    const places = fc.constantFrom(
      (data: string) => data,
      (data: string) => `user:${data}`,
      (data: string) => `user:${data}:prefs`,
    )
    fc.assert(
      fc.property(looksLikeData, places, (data, place) => {
        const name = place(data)
        const value = { [name]: { [name]: 1 }, json: JSON.stringify([{ [name]: 1 }]) }
        const row = new Anonymizer({ key }).row({ collection: 'notes', key: name, value })
        expect(`${row.key}\n${allText(row.value)}`.toLowerCase()).not.toContain(data.toLowerCase())
        if (name !== data) expect(row.key).toMatch(/^user:/)
      }),
      { numRuns: 1_000 },
    )
  })

  it('all is the same for the same data and key, and other for another key', () => {
    fc.assert(
      fc.property(rows, ([texts, shape]) => {
        const of = (secret: string): unknown =>
          new Anonymizer({ key: secret }).row({ collection: 'notes', key: texts[0]!, value: valueOf(texts, shape) })
        expect(of(key)).toEqual(of(key))
        expect(of(key)).not.toEqual(of(`${key}, but another one`))
      }),
    )
  })

  it('without a key, nobody can make the same again', () => {
    const id = snowflakeAt(Date.UTC(2024, 0, 1), 7)
    const one = (): unknown => new Anonymizer({}).row({ collection: 'a', key: id, value: id })
    expect(one()).not.toEqual(one())
  })
})

describe('two keys', () => {
  const source = (keys: readonly string[]): Parameters<typeof readData>[0]['source'] & object => ({
    collections: async () => ['tags'],
    collection: () => ({
      get: async () => undefined,
      async *scan() {
        for (const each of keys) yield { key: each, value: 1 }
      },
    }),
  })
  const read = async (keys: readonly string[]): Promise<string[]> => {
    const found: string[] = []
    const data = readData({ source: source(keys), anonymize: { key } })
    for await (const row of data.rows(new AbortController().signal, () => {})) found.push(row.key)
    return found
  }

  it('never become one, also when one of them is the pseudonym of the other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 })), async (keys) => {
        const first = await read(keys)
        const all = [...new Set([...keys, ...first])]
        expect(new Set(await read(all)).size).toBe(all.length)
      }),
    )
  })

  it('may be one that a scan gives twice', async () => {
    expect(await read(['name', 'name'])).toEqual(['name', 'name'])
  })
})
