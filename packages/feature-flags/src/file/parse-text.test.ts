import { describe, expect, it, vi } from 'vitest'
import { FlagDocumentError } from '../document-error.js'
import { formatOf, parseText, type TextFormat, withPlace } from './parse-text.js'
import type { DocumentPath } from './text-place.js'

const parse = async (text: string, format: TextFormat): Promise<unknown> => (await parseText(text, format, 'f')).value

/** What is wrong, as `line:column: reason`. */
async function problem(text: string, format: TextFormat): Promise<string> {
  const error: unknown = await parseText(text, format, 'f').catch((error: unknown) => error)
  if (!(error instanceof FlagDocumentError)) throw new Error(`it was taken: ${text}`)
  expect(error.source).toBe('f')
  expect(error.message).toBe(`f:${error.place?.line}:${error.place?.column}: ${error.reason}`)
  return error.message.slice(2)
}

describe('parseText of JSON', () => {
  it.each([
    '{}',
    '[]',
    'null',
    ' \t\r\n"a" ',
    '{"a":{"b":[1,-2.5e3,true,false,null,{"c":[]}]},"":" "}',
    '"\\u00e9\\n\\"\\\\\\/\\ud83d\\ude00"',
    '[0,-0,1E2,1e-2,0.5]',
    '{"__proto__":{"a":1},"constructor":1,"toString":null}',
    '"é😀\u2028"',
    '[9007199254740991,1e30]',
  ])('gives what JSON.parse gives: %s', async (text) => {
    const value = await parse(text, 'json')
    expect(value).toEqual(JSON.parse(text))
    expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(text)))
  })

  it('makes __proto__ a name like any other', async () => {
    const value = (await parse('{"flags":{"__proto__":{"polluted":true}}}', 'json')) as { flags: object }
    expect(Object.keys(value.flags)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(value.flags)).toBe(Object.prototype)
  })

  it.each([
    ['', '1:1: the document is empty'],
    [' \n ', '1:1: the document is empty'],
    ['{"a": 1', '1:8: the text ends before the "{" of line 1 is closed'],
    ['{\n  "a": [\n', '3:1: the text ends before the "[" of line 2 is closed'],
    ['{"a":', '1:6: the text ends before the "{" of line 1 is closed'],
    ['{"a"', '1:5: the text ends before the "{" of line 1 is closed'],
    ['{"a": "b', '1:7: the text ends before this string does'],
    ['{"a": 1,}', '1:8: the comma before "}" must go'],
    ['[1,\n2,\n]', '2:2: the comma before "]" must go'],
    ['[1 2]', '1:4: there should be "," or "]", not "2"'],
    ['{a: 1}', '1:2: there should be a name in double quotes, not "a"'],
    ["{'a': 1}", '1:2: JSON wants double quotes'],
    ['{"a" 1}', '1:6: there should be ":" after "a", not "1"'],
    ['{"a": True}', '1:7: there should be a value, not "True"'],
    ['{"a": undefined}', '1:7: there should be a value, not "undefined"'],
    ['[nullx]', '1:2: there should be a value, not "nullx"'],
    ['[,]', '1:2: there should be a value, not ","'],
    ['{} // why', '1:4: nothing may follow the document, but there is "/"'],
    ['{\n// why\n}', '2:1: JSON has no comments; a .yaml file may have them'],
    ['[01]', '1:2: "01" is no number of JSON'],
    ['[1.]', '1:2: "1." is no number of JSON'],
    ['[-]', '1:2: "-" is no number of JSON'],
    ['[.5]', '1:2: there should be a value, not ".5"'],
    ['["\\x"]', '1:3: "\\\\x" is no escape of JSON'],
    ['["\\u12g4"]', '1:3: "\\\\u" is no escape of JSON'],
    ['["a\nb"]', '1:4: a string may not hold a line break or control character; write \\n or \\u000a'],
    ['{"a": 1,\n "b": 2,\n "a": 3}', '3:2: "a" is there twice in one object, first in line 1'],
    ['{"a": 1, "\\u0061": 3}', '1:10: "a" is there twice in one object, first in line 1'],
    ['{"__proto__": 1, "__proto__": 3}', '1:18: "__proto__" is there twice in one object, first in line 1'],
    ['{"guildId": 81384788765712384}', '1:13: a number cannot hold every digit of 81384788765712384; put it in quotes'],
    ['{}\0', '1:3: nothing may follow the document, but there is "\\u0000"'],
    ['{"a": 1\r\n"b": 2}', '2:1: there should be "," or "}", not "\\""'],
  ])('refuses %j at its line and column', async (text, expected) => {
    await expect(problem(text, 'json')).resolves.toBe(expected)
  })

  it.each([
    ['lists', '['.repeat(101), 101],
    ['a million objects', '{"a":'.repeat(1_000_000), 501],
  ])('refuses what is nested too deeply: %s', async (_, text, column) => {
    await expect(problem(text, 'json')).resolves.toBe(`1:${column}: it is nested more than 100 levels deep`)
    await expect(parse('['.repeat(100) + ']'.repeat(100), 'json')).resolves.toBeInstanceOf(Array)
  })

  it('refuses exactly what JSON.parse refuses, whatever sign is broken', async () => {
    const text = '{"a": [1.5e+2, "x\\n\\u00e9", true], "b": {"c": null, "d": -0}}'
    for (let i = 0; i <= text.length; i++) {
      for (const sign of ['', '"', '{', ']', ',', ':', '\\', '0', 'e', '.', '-', ' ', '\n', 't', '\u00a0']) {
        for (const broken of [text.slice(0, i) + sign + text.slice(i + 1), text.slice(0, i) + sign + text.slice(i)]) {
          let expected: unknown = 'refused'
          try {
            expected = JSON.parse(broken)
          } catch {
            // As the reader must.
          }
          const value = await parse(broken, 'json').catch((error: FlagDocumentError) =>
            error.reason.includes('twice') ? expected : 'refused',
          )
          expect(value, broken).toEqual(expected)
        }
      }
    }
  })

  it('takes no part of a document for a document', async () => {
    const text = '{"flags": {"a": {"percentage": 25, "rules": [{"when": {"tier": "gold \\u00e9"}}]}, "b": true}}'
    for (let end = 0; end < text.length; end++) {
      await expect(parse(text.slice(0, end), 'json')).rejects.toMatchObject({ code: 'FLAG_DOCUMENT' })
    }
  })

  // In time that grows with the square of the length, it would take minutes.
  it('reads 10 MB', async () => {
    const flags = Array.from(
      { length: 150_000 },
      (_, n) => `"flag${n}": {"percentage": 25, "owner": "someone", "by": "guild"}`,
    )
    const text = `{"flags": {${flags.join(',\n')}}}`
    expect(text.length).toBeGreaterThan(9_000_000)
    const parsed = await parseText(text, 'json', 'f')
    expect(parsed.placeOf(['flags', 'flag149999', 'owner'])).toEqual({ line: 150_000, column: 34 })
  })
})

describe('parseText of YAML', () => {
  it.each<[string, unknown]>([
    ['flags:\n  a: true\n  b: { percentage: 25 } # why', { flags: { a: true, b: { percentage: 25 } } }],
    ['{"flags": {"a": true}}', { flags: { a: true } }],
    ['on: yes\nat: 2026-01-01', { on: 'yes', at: '2026-01-01' }],
    ['%YAML 1.2\n---\na: 1\n...\n', { a: 1 }],
    ['a:\nb: ~', { a: null, b: null }],
    ['a: 0x10\nb: .inf\nc: "81384788765712384"', { a: 16, b: Infinity, c: '81384788765712384' }],
    ['a: &x {b: [1]}\nc: *x', { a: { b: [1] }, c: { b: [1] } }],
    ['a: !!str 5', { a: '5' }],
    ['<<: {a: 1}', { '<<': { a: 1 } }],
    ['null', null],
    ['1: a\ntrue: b', { 1: 'a', true: 'b' }],
  ])('reads %j', async (text, value) => {
    await expect(parse(text, 'yaml')).resolves.toEqual(value)
  })

  it('makes __proto__ a name like any other', async () => {
    const value = (await parse('__proto__: {polluted: true}', 'yaml')) as object
    expect(Object.keys(value)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  it.each([
    ['', '1:1: the document is empty'],
    ['# a comment\n', '1:1: the document is empty'],
    ['---\n', '1:1: the document is empty'],
    ['a: 1\nb: 2\na: 3', '3:1: "a" is there twice in one object, first in line 1'],
    ['1: a\n"1": b', '2:1: "1" is there twice in one object, first in line 1'],
    ['a: 1\n---\nb: 2', '3:1: there is a second document; a file may hold one'],
    ['a: !thing 1', '1:4: tags are not taken: Unresolved tag: !thing'],
    ['a: !!binary aGk=', '1:4: tags are not taken: Unresolved tag: tag:yaml.org,2002:binary'],
    ['a: !!js/function x', '1:4: tags are not taken: Unresolved tag: tag:yaml.org,2002:js/function'],
    ['%YAML 1.1\n---\na: yes', '1:1: the document asks for another YAML than 1.2; remove %YAML'],
    ['%TEST 1\n---\na: yes', '1:1: it is not YAML: Unknown directive %TEST'],
    ['\ta: 1', '1:1: it is not YAML: Tabs are not allowed as indentation'],
    ['a: "b', '1:6: it is not YAML: Missing closing "quote'],
    ['a: &x [*x]', '1:8: *x refers to what it is part of'],
    ['a: *x', '1:4: there is no &x above'],
    ['? [a]\n: 1', '1:3: a name must be a word, or text in quotes'],
    ['~: 1', '1:1: a name must be a word, or text in quotes'],
    ['0x10: 1', '1:1: as a name, 0x10 would become 16; put it in quotes'],
    ['- guildId: 81384788765712384', '1:12: a number cannot hold every digit of 81384788765712384; put it in quotes'],
    ['81384788765712384: true', '1:1: a number cannot hold every digit of 81384788765712384; put it in quotes'],
  ])('refuses %j at its line and column', async (text, expected) => {
    await expect(problem(text, 'yaml')).resolves.toBe(expected)
  })

  // A process that parses such a text with less care is gone: Node ends it for want of stack.
  it.each([
    ['lists', '['.repeat(101) + ']'.repeat(101), 101],
    ['open lists', '['.repeat(100_000), 101],
    ['dashes', `${'- '.repeat(50_000)}a`, 201],
    ['question marks', `${'? '.repeat(50_000)}a`, 201],
  ])('refuses what is nested too deeply: %s', async (_, text, column) => {
    await expect(problem(text, 'yaml')).resolves.toBe(`1:${column}: it is nested more than 100 levels deep`)
    await expect(parse('['.repeat(100) + ']'.repeat(100), 'yaml')).resolves.toBeInstanceOf(Array)
  })

  it('refuses aliases that multiply, at once', async () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let n = 1; n < 12; n++)
      bomb.push(
        `a${n}: &a${n} [${Array(10)
          .fill(`*a${n - 1}`)
          .join(', ')}]`,
      )
    const startedAt = performance.now()
    await expect(problem(bomb.join('\n'), 'yaml')).resolves.toMatch(
      /^4:\d+: aliases \(\*a2\) repeat more than 10000 values$/,
    )
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  it.each([
    ['names', Array.from({ length: 30_000 }, (_, n) => `k${n}: true`).join('\n')],
    ['aliases', Array.from({ length: 9_000 }, (_, n) => `- &a${n} x\n- *a${n}`).join('\n')],
  ])('takes many %s in a time that grows with their number alone', async (_, text) => {
    const startedAt = performance.now()
    await parse(text, 'yaml')
    expect(performance.now() - startedAt).toBeLessThan(3_000)
  })

  it('names the command when the package yaml is not installed', async () => {
    vi.doMock('yaml', () => {
      throw new Error('Cannot find package')
    })
    try {
      const error: unknown = await parseText('a: 1', 'yaml', 'flags.yaml').catch((error: unknown) => error)
      expect(error).toMatchObject({
        message: 'flags.yaml: to read YAML, the package yaml is needed, which cannot be loaded; run: npm install yaml',
        cause: expect.any(Error) as Error,
      })
    } finally {
      vi.doUnmock('yaml')
    }
  })
})

describe('placeOf', () => {
  const json =
    '{\n  "flags": {\n    "a": { "percentage": 150 },\n    "b": { "rules": [{ "value": 1 }, { "value": 2 }] }\n  }\n}'
  const yaml = 'flags:\n  a:\n    percentage: 150\n  b:\n    rules:\n      - value: 1\n      - value: 2\n  1: x\n'

  it.each<[DocumentPath, [number, number], [number, number]]>([
    [[], [1, 1], [1, 1]],
    [['flags'], [2, 3], [1, 1]],
    [
      ['flags', 'a'],
      [3, 5],
      [2, 3],
    ],
    [
      ['flags', 'a', 'percentage'],
      [3, 12],
      [3, 5],
    ],
    [
      ['flags', 'b', 'rules', 1],
      [4, 38],
      [7, 9],
    ],
    [
      ['flags', 'b', 'rules', 1, 'value'],
      [4, 40],
      [7, 9],
    ],
    // What is not there is looked for in what should hold it.
    [
      ['flags', 'a', 'owner'],
      [3, 5],
      [2, 3],
    ],
    [
      ['flags', 'a', 'percentage', 'x'],
      [3, 12],
      [3, 5],
    ],
    [
      ['flags', 'b', 'rules', 7, 'value'],
      [4, 12],
      [5, 5],
    ],
    [
      ['segments', 'a'],
      [1, 1],
      [1, 1],
    ],
    [['__proto__'], [1, 1], [1, 1]],
  ])('finds %j', async (path, inJson, inYaml) => {
    const at = ([line, column]: [number, number]): object => ({ line, column })
    expect((await parseText(json, 'json', 'f')).placeOf(path)).toEqual(at(inJson))
    expect((await parseText(yaml, 'yaml', 'f')).placeOf(path)).toEqual(at(inYaml))
  })

  it('is not moved by a byte order mark or by line ends of Windows', async () => {
    for (const format of ['json', 'yaml'] as const) {
      const parsed = await parseText(`\uFEFF${json.replaceAll('\n', '\r\n')}`, format, 'f')
      expect(parsed.placeOf(['flags', 'a', 'percentage'])).toEqual({ line: 3, column: 12 })
    }
  })

  it('is given to an error that has a path and no place', async () => {
    const parsed = await parseText(json, 'json', 'flags.json')
    const path = ['flags', 'a', 'percentage']
    const placed = withPlace(new FlagDocumentError('it is too large', { path }), 'flags.json', parsed)
    expect(placed).toMatchObject({ message: 'flags.json:3:12: it is too large', path, reason: 'it is too large' })
    expect(withPlace(placed, 'other.json', parsed)).toBe(placed)
    const other = new Error('boom')
    expect(withPlace(other, 'flags.json', parsed)).toBe(other)
  })
})

it('tells the format by the extension', () => {
  expect(['a.json', 'a.JSON', 'a.yaml', 'a.yml', 'a.toml', 'json', 'a.json~'].map(formatOf)).toEqual([
    'json',
    'json',
    'yaml',
    'yaml',
    undefined,
    undefined,
    undefined,
  ])
})
