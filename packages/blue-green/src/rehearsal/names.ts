import { isIPv6 } from 'node:net'
import { isSnowflake } from './snowflake.js'

// Names of fields and keys are what code calls them, and what users are called. Which of both a name is, nobody can tell from it alone; but
// addresses, tokens and numbers look like none that a programmer would give, and are taken for data.

/** A piece of a key, or of the name of a field. The pieces in a row are the whole. */
export interface NamePiece {
  readonly text: string
  /** `seam`: what keys are put together with. `code`: what looks like the name of a field. `digits` and `text` are data. */
  readonly what: 'seam' | 'code' | 'snowflake' | 'digits' | 'text'
}

/** A day of our time, or a moment of it, as ISO 8601 writes them. */
const times =
  /((?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:T[0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-][0-2]\d:?[0-5]\d)?)?(?!\d))/
/** An address of hardware, or what one of IPv6 is in. */
const addresses = /(?<!\w)(?:[\da-f]{2}[:-]){5}[\da-f]{2}(?!\w)|(?<![\w.-])[\da-f:.]+(?!\w)/gi
const hardware = /^(?:[\da-f]{2}[:-]){5}[\da-f]{2}$/i
/** What keys are put together with, and the ids in them. */
const seams = /([:/|#]+|(?<!\d)\d{15,20}(?!\d))/
/** What a programmer writes. Names of people have spaces, signs or other letters; for those that have not, see `userKeys`. */
const identifier = /^[\w$.-]{1,64}$/
const uuid = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i
/** Between the words of an identifier. */
const joints = /([.\-_$]+)/
/** The parts of a word: `get`, `HTTP`, `Url`, `2`. */
const humps = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g
/** Parts of one or two letters that are usual in names; of others, more than one in a word is what a token has. */
const shortWords = new Set('am as at be by db dm do go gb he hp id if in io ip is it js kb kg km lt mb me ms my no of ok on or os pc px so to ts tz ui up us vc vs we xp x y z'.split(' ')) // prettier-ignore

/** Abbreviations with digits at the beginning of a word. */
const abbreviation =
  /^(?:[a-zA-Z]\d{1,3}$|\d{1,2}[a-zA-Z]{1,2}$|(?:a11y|b64|e2e|h26[45]|i18n|k8s|l10n|mp[34]|OAuth2|p\d\d|s3)(?=[A-Z]|$))/
/** No language that code is written in has so many consonants in a row. */
const consonants = /[bcdfghjklmnpqrstvwxz]{6}/i

/** Stores take no longer keys, and code no longer names. */
const maxLength = 2_000
/** A longer word of letters is none. */
const maxLetters = 20
/** Digits at a word: `sha256`. Years are left out with purpose, for they stand in names of users. */
const maxDigitsAtWord = 3
/** From so many digits on, a number may be that of a telephone or an account. */
const minDigits = 7
/** Epoch ms from 2004 to 2033, as which no telephone number looks. Supergroups and channels of Telegram have a 0 after the 1. */
const time = /^1[1-9]\d{11}$/

/** As pseudonyms are: one may be that of another name, so it gets one of its own. */
const pseudonymous = /^[zqxjvkw]{3,}$/i

/**
 * Takes a name apart into what code calls it, and what is data.
 *
 * @param isKept - of a name, or a part between seams, that code calls so although it does not look like it
 */
export function piecesOf(name: string, isKept: (part: string) => boolean = () => false): NamePiece[] {
  if (isKept(name)) return [{ text: name, what: 'code' }]
  if (name.length > maxLength) return [{ text: name, what: 'text' }]
  return name
    .split(times)
    .flatMap((text, i) => (i % 2 === 1 ? [{ text, what: 'code' as const }] : [...betweenTimes(text, isKept)]))
}

function* betweenTimes(text: string, isKept: (part: string) => boolean): Generator<NamePiece> {
  let at = 0
  for (const { 0: found, index } of text.matchAll(addresses)) {
    const address = hardware.test(found) ? found : ipv6In(found)
    if (address === undefined) continue
    const start = text.indexOf(address, index)
    yield* betweenSeams(text.slice(at, start), isKept)
    yield { text: address, what: 'text' }
    at = start + address.length
  }
  yield* betweenSeams(text.slice(at), isKept)
}

/** All groups in a row that have an address in them, without the colons that keys put before and after. */
function ipv6In(text: string): string | undefined {
  const run = text.replace(/^:(?!:)|(?<!:):$/g, '')
  const groups = run.split(':')
  if (groups.length < 3) return undefined
  // Nobody makes keys of so many parts of hexadecimal digits; that all of it is data costs nothing.
  if (groups.length > 30) return run
  for (let length = groups.length; length >= 3; length--) {
    for (let from = 0; from + length <= groups.length; from++) {
      const part = groups.slice(from, from + length).join(':')
      if (/[\da-f]/i.test(part) && isIPv6(part)) return run
    }
  }
  return undefined
}

function* betweenSeams(text: string, isKept: (part: string) => boolean): Generator<NamePiece> {
  for (const part of text.split(seams)) {
    if (part === '') continue
    if (/^[:/|#]/.test(part)) yield { text: part, what: 'seam' }
    else if (isKept(part)) yield { text: part, what: 'code' }
    else yield* numberOrWords(part)
  }
}

function* numberOrWords(part: string): Generator<NamePiece> {
  const { sign, digits } = wholeNumber(part) ?? {}
  if (sign === undefined || digits === undefined) yield* wordsOf(part)
  else if (isSnowflake(digits) || isLongNumber(digits)) {
    if (sign !== '') yield { text: sign, what: 'seam' }
    yield { text: digits, what: isSnowflake(digits) ? 'snowflake' : 'digits' }
  } else yield { text: part, what: 'code' }
}

/** The words that code gave, up to the first one that it did not: the rest belongs to that. */
function* wordsOf(part: string): Generator<NamePiece> {
  const isWhole = !identifier.test(part) || uuid.test(part) || pseudonymous.test(part.replace(/[^a-z]/gi, ''))
  if (isWhole) {
    yield { text: part, what: 'text' }
    return
  }
  const words = part.split(joints)
  const first = Math.min(...[firstOdd(words), firstOfNumbers(words)].map((i) => (i === -1 ? words.length : i)))
  const [before, after] = [words.slice(0, first).join(''), words.slice(first).join('')]
  if (before !== '') yield { text: before, what: 'code' }
  // Its pseudonym is that of the number elsewhere.
  if (after !== '') yield { text: after, what: /^\d+$/.test(after) ? 'digits' : 'text' }
}

/** The place of the first word that no programmer would write. */
function firstOdd(words: readonly string[]): number {
  const oddness = words.map((word, i) => (i % 2 === 0 ? oddnessOf(word) : 0))
  const isLong = words.join('').length > maxLetters
  const isMuch = oddness.reduce((sum, each) => sum + each, 0) > (isLong ? 1 : 2)
  return oddness.findIndex((each) => each > 1 || (isMuch && each > 0))
}

/** How unlike a word it is; more than 1 is none. */
function oddnessOf(word: string): number {
  // A letter or two are a name like any other, and say little.
  if (word.length < 3) return 0
  const parts =
    word
      .replace(/[vV]\d{1,3}$/, '')
      .replace(abbreviation, '')
      .match(humps) ?? []
  const [digits, letters] = [parts.filter((part) => /\d/.test(part)), parts.filter((part) => !/\d/.test(part))]
  if (letters.length === 0) return digits.some(isLongNumber) ? 2 : 0
  if (digits.some((part) => part.length > maxDigitsAtWord) || letters.some((part) => part.length > maxLetters)) return 2
  const isStrange = (part: string): boolean =>
    consonants.test(part) || (part.length < 3 && !shortWords.has(part.toLowerCase()))
  const strange = letters.filter(isStrange).length
  const isLong = word.length > maxLetters
  if (isLong && digits.length + strange > 0) return 2
  return digits.length + strange
}

/** The place of the first of four numbers in a row, of three with dots between them, or of numbers with too many digits together. */
function firstOfNumbers(words: readonly string[]): number {
  const isNumber = (i: number): boolean => /^\d+$/.test(words[i] ?? '')
  const count = words.reduce((sum, word) => sum + (time.test(word) ? 0 : (word.match(/\d/g) ?? []).length), 0)
  if (count >= minDigits) return words.findIndex((word) => /\d/.test(word))
  for (let i = 0; i < words.length; i += 2) {
    if (![0, 2, 4].every((step) => isNumber(i + step))) continue
    if (isNumber(i + 6) || [words[i + 1], words[i + 3]].every((joint) => joint === '.')) return i
  }
  return -1
}

/** A whole number as its sign and its digits: groups of Telegram have negative ids, and the pseudonym is that of the digits. */
export function wholeNumber(text: string): { readonly sign: string; readonly digits: string } | undefined {
  const [, sign, digits] = /^(-?)(\d+)$/.exec(text) ?? []
  return sign === undefined || digits === undefined ? undefined : { sign, digits }
}

/** Of digits: whether they may be those of a telephone or an account, and are no time. */
export function isLongNumber(digits: string): boolean {
  return digits.length >= minDigits && !time.test(digits)
}
