const HYPHEN = 0x2d
const PLUS = 0x2b
const COLON = 0x3a
const DOT = 0x2e
const minuteMs = 60_000

/**
 * The epoch ms of an ISO 8601 text, NaN for any other: a day, which begins at midnight UTC, or a day and a time with its
 * offset. `Date.parse` takes far more, some of it by the time zone of the machine, and turns 30 February into 2 March.
 *
 * Makes no object: it runs whenever a flag is asked.
 */
export function isoInstant(text: string): number {
  const year = digits(text, 0, 4)
  const month = digits(text, 5, 2)
  const day = digits(text, 8, 2)
  if (text.charCodeAt(4) !== HYPHEN || text.charCodeAt(7) !== HYPHEN) return NaN
  // Date.UTC takes the years before 100 for those of the 20th century.
  if (!(year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month))) return NaN
  const midnight = Date.UTC(year, month - 1, day)
  if (text.length === 10) return midnight

  const hour = digits(text, 11, 2)
  const minute = digits(text, 14, 2)
  if (text.charAt(10) !== 'T' || text.charCodeAt(13) !== COLON || !(hour <= 23 && minute <= 59)) return NaN
  let at = 16
  let ms = 0
  if (text.charCodeAt(at) === COLON) {
    const second = digits(text, 17, 2)
    if (!(second <= 59)) return NaN
    ms = second * 1_000
    at = 19
    if (text.charCodeAt(at) === DOT) {
      const end = endOfDigits(text, at + 1)
      if (end === at + 1) return NaN
      for (let place = 1; place <= 3 && at + place < end; place++) ms += digits(text, at + place, 1) * 10 ** (3 - place)
      at = end
    }
  }
  const offset = offsetMinutes(text, at)
  return midnight + (hour * 60 + minute - offset) * minuteMs + ms
}

/** The minutes by which a zone is ahead of UTC; NaN unless exactly a zone stands at `at`. */
function offsetMinutes(text: string, at: number): number {
  if (text.charAt(at) === 'Z') return text.length === at + 1 ? 0 : NaN
  const sign = text.charCodeAt(at)
  if ((sign !== PLUS && sign !== HYPHEN) || text.charCodeAt(at + 3) !== COLON || text.length !== at + 6) return NaN
  const hours = digits(text, at + 1, 2)
  const minutes = digits(text, at + 4, 2)
  if (!(hours <= 23 && minutes <= 59)) return NaN
  return (sign === PLUS ? 1 : -1) * (hours * 60 + minutes)
}

function digits(text: string, from: number, count: number): number {
  let value = 0
  for (let at = from; at < from + count; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (!(digit >= 0 && digit <= 9)) return NaN
    value = value * 10 + digit
  }
  return value
}

function endOfDigits(text: string, from: number): number {
  let at = from
  while (digits(text, at, 1) >= 0) at++
  return at
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
