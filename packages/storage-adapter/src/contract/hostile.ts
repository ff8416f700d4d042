import { randomBytes } from 'node:crypto'

/** Keys and names that one backend or another gets wrong. */
export const HOSTILE_KEYS: readonly string[] = [
  ...[
    '__proto__',
    'constructor',
    'toString',
    'a.b',
    'a:b',
    'a/b',
    'a?q=1',
    '..',
    '%',
    '_',
    '%_',
    '*',
    '[a]',
    '?',
    '\\',
  ],
  ...['a\0b', '\0', ' ', '\n', '"', "'", ';--', 'é', 'e\u0301', '\uffff', '\u{1f600}', '\u{10ffff}'],
]

/** The longest name and the longest key, of random text: what a database can compress proves nothing about its limits. */
export const LONGEST_NAME: string = randomBytes(375).toString('base64url')
export const LONGEST_KEY: string = randomBytes(1_500).toString('base64url')

/** Values that must come back as they are. */
export const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER, '', 'tea', '\0', '\ud800', '\u2028', '😀'],
  ...[
    [],
    {},
    [1, [2, [3]]],
    { a: { b: [null] }, 'c d': 'e' },
    { a: [-0, 0] },
    JSON.parse('{"__proto__":{"x":1}}') as unknown,
  ],
]

const circle: Record<string, unknown> = {}
circle['self'] = { circle }

/** Values that JSON would change, and the place that the error must name. */
export const LOSSY: readonly [what: string, value: unknown, place: RegExp][] = [
  ['undefined', undefined, /^value is undefined/],
  ['undefined inside', { a: [1, { b: undefined }] }, /^value\.a\[1\]\.b is undefined/],
  ['a hole', Object.assign([], { length: 1 }), /^value\[0\] is undefined/],
  ['NaN', { a: NaN }, /^value\.a is NaN/],
  ['Infinity', [Infinity], /^value\[0\] is Infinity/],
  ['a BigInt', { id: 1n }, /^value\.id is a BigInt/],
  ['a Date', { at: new Date(0) }, /^value\.at is a Date/],
  ['a Map', { m: new Map() }, /^value\.m is a Map/],
  ['a function', { f: () => 1 }, /^value\.f is a function/],
  ['toJSON', { a: { toJSON: () => 1 } }, /^value\.a has a toJSON method/],
  ['a cycle', circle, /^value\.self\.circle contains itself/],
  ['too deep', deep(501), /nested deeper than 500/],
]

function deep(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}
