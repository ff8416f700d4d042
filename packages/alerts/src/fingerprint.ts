import { createHash } from 'node:crypto'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Labels } from './alert.js'
import { oneLine, shorten } from './text.js'

/** So many frames tell two errors of the same kind apart; a caller further away does not make it another error. */
const FRAMES = 3

/** Alerts are the same when their names and labels are. The order of the labels does not matter. */
export function keyOf(name: string, labels: Labels): string {
  const entries = Object.entries(labels)
  if (entries.length === 0) return JSON.stringify(name)
  return JSON.stringify([name, ...entries.sort(([one], [other]) => (one < other ? -1 : 1)).flat()])
}

/** A key, short enough to be shown. */
export function fingerprintOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16)
}

/** What is known of something that was thrown. */
export interface Thrown {
  /** The same for errors that come from the same place. */
  readonly name: string
  readonly message: string
  /** Its class, its code and where it was thrown, as one short word. */
  readonly origin: string
}

/**
 * Looks at anything that can be thrown: an error from anywhere, a string, `null`, an object whose getters throw.
 *
 * Errors are the same when their class, their code and the frames of the program's own code at the top of their stack
 * are; their messages may hold numbers and names. Without a stack, the message decides, with its numbers left out.
 */
export function examine(thrown: unknown): Thrown {
  const { className, code, message, stack } = read(thrown)
  const frames = ownFrames(withoutMessage(stack, message))
  const place = frames.length > 0 ? frames.join('|') : message.replace(/\d+/g, '#')
  const origin = createHash('sha256')
    .update(JSON.stringify([className, code, place]))
    .digest('hex')
    .slice(0, 12)
  const name = shorten(oneLine(code === '' ? className : `${className} ${code}`), 120)
  return { name: name || 'Error', message: message || 'it failed without saying why', origin }
}

function read(thrown: unknown): { className: string; code: string; message: string; stack: string } {
  if (typeof thrown !== 'object' || thrown === null) {
    return { className: kindOf(thrown), code: '', message: textOf(thrown), stack: '' }
  }
  const field = (name: string): string => {
    try {
      const value = (thrown as Record<string, unknown>)[name]
      return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
    } catch {
      return ''
    }
  }
  const className = field('name') || classOf(thrown)
  return { className, code: field('code'), message: field('message'), stack: field('stack') }
}

function classOf(thrown: object): string {
  try {
    return thrown.constructor.name
  } catch {
    return 'object'
  }
}

function kindOf(thrown: unknown): string {
  return thrown === null ? 'null' : `thrown ${typeof thrown}`
}

function textOf(thrown: unknown): string {
  return typeof thrown === 'symbol' || typeof thrown === 'function' ? typeof thrown : String(thrown)
}

/** A message may look like frames, and differ each time. */
function withoutMessage(stack: string, message: string): string {
  const at = message === '' ? -1 : stack.indexOf(message)
  return at === -1 ? stack : stack.slice(at + message.length)
}

/** No path is longer, and a longer line takes long to look at. */
const MAX_LINE = 1_000

/** The places in the program's own code, without Node's and other packages'. Columns stay: a line may throw twice. */
function ownFrames(stack: string): string[] {
  const frames: string[] = []
  let foreign: string | undefined
  for (const line of stack.split('\n')) {
    if (line.length > MAX_LINE) continue
    const place = /^\s+at (?:.*\()?(.+?:\d+:\d+)\)?$/.exec(line)?.[1]
    if (place === undefined) continue
    if (/^node:|[\\/]node_modules[\\/]/.test(place)) {
      foreign ??= place
      continue
    }
    frames.push(relativePlace(place))
    if (frames.length === FRAMES) break
  }
  return frames.length > 0 || foreign === undefined ? frames : [foreign]
}

/** Below the working directory, so that the same error has the same fingerprint wherever the program is installed. */
function relativePlace(place: string): string {
  try {
    const path = place.startsWith('file:') ? fileURLToPath(place) : place
    const base = process.cwd() + sep
    return path.startsWith(base) ? path.slice(base.length) : path
  } catch {
    return place
  }
}
