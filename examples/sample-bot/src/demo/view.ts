import { cursorTo, clearScreenDown, moveCursor } from 'node:readline'
import { stripVTControlCharacters, styleText } from 'node:util'

type Colour = 'green' | 'yellow' | 'red' | 'cyan' | 'gray' | 'bold' | 'blue'

/** What the demo shows of the bot, once a moment. */
export interface Picture {
  readonly second: number
  readonly act: string
  readonly components: readonly { readonly name: string; readonly status: string; readonly reason: string }[]
  readonly mode: string
  readonly flags: readonly string[]
  readonly from: string
  readonly to: string | undefined
  readonly phase: string
  readonly percentage: number
  readonly keptOn: string
  readonly journalLength: number
  readonly perSecond: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly inFlight: number
  readonly remindersPending: number
}

const dots: Readonly<Record<string, Colour>> = { up: 'green', degraded: 'yellow', down: 'red', unknown: 'gray' }

/** Draws a live block below a running log on a terminal; elsewhere it writes plain lines. */
export class View {
  readonly #out: NodeJS.WriteStream
  readonly #live: boolean
  #rows = 0
  #picture: Picture | undefined
  #plainSecond = -1

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    this.#live = out.isTTY && process.env['CI'] === undefined
    // A reader that has gone, as `head` does, is no reason to end the demo with a stack trace.
    out.on('error', () => undefined)
  }

  /** Writes a line above the block. */
  log(second: number, colour: Colour, text: string): void {
    this.#wipe()
    this.#out.write(`${this.#paint('gray', `${second.toFixed(1).padStart(5)} s`)}  ${this.#paint(colour, text)}\n`)
    if (this.#picture !== undefined) this.draw(this.#picture)
  }

  /** Writes text as it is, above the block. */
  write(text: string): void {
    this.#wipe()
    this.#out.write(`${text}\n`)
  }

  draw(picture: Picture): void {
    this.#picture = picture
    if (!this.#live) {
      const second = Math.floor(picture.second / 5)
      if (second === this.#plainSecond) return
      this.#plainSecond = second
      this.#out.write(`${plainLine(picture)}\n`)
      return
    }
    this.#wipe()
    const width = (this.#out.columns || 80) - 1
    const lines = this.#block(picture).map((line) => cut(line, width))
    this.#out.write(`${lines.join('\n')}\n`)
    this.#rows = lines.length
  }

  /** Takes the block away for good. */
  end(): void {
    this.#wipe()
    this.#picture = undefined
  }

  #block(picture: Picture): string[] {
    const label = (text: string): string => this.#paint('gray', text.padEnd(12))
    const components = picture.components.map(
      ({ name, status }) => `${this.#paint(dots[status] ?? 'gray', '●')} ${name} ${status}`,
    )
    const split =
      picture.to === undefined
        ? `${bar(0)} ${picture.from} 100 %`
        : `${bar(picture.percentage / 100)} ${picture.to} ${picture.percentage} %, ${picture.from} ${100 - picture.percentage} %`
    const modeColour: Colour = picture.mode === 'FULL' ? 'green' : 'yellow'
    return [
      '',
      this.#paint('bold', picture.act),
      `${label('health')}${components.join('   ')}`,
      `${label('mode')}${this.#paint(modeColour, picture.mode)}`,
      `${label('flags')}${picture.flags.join('   ')}`,
      `${label('traffic')}${this.#paint('cyan', split)}   ${picture.phase}`,
      `${label('writes')}kept by the ${picture.keptOn}, ${picture.journalLength} in the journal`,
      `${label('commands')}${picture.perSecond.toFixed(0)} a second, ${picture.inFlight} in flight, median ${picture.medianMs.toFixed(1)} ms, 99 % within ${picture.p99Ms.toFixed(1)} ms`,
      `${label('reminders')}${picture.remindersPending} to come`,
    ]
  }

  #wipe(): void {
    if (!this.#live || this.#rows === 0) return
    moveCursor(this.#out, 0, -this.#rows)
    cursorTo(this.#out, 0)
    clearScreenDown(this.#out)
    this.#rows = 0
  }

  #paint(colour: Colour, text: string): string {
    return this.#live ? styleText(colour, text) : text
  }
}

function plainLine(picture: Picture): string {
  const { from, to, percentage } = picture
  return [
    `${picture.second.toFixed(1).padStart(5)} s  `,
    picture.components.map(({ name, status }) => `${name}=${status}`).join(' '),
    ` mode=${picture.mode}`,
    ` traffic=${to === undefined ? `${from}:100` : `${to}:${percentage},${from}:${100 - percentage}`}`,
    ` flags=[${picture.flags.join(', ')}]`,
    ` journal=${picture.journalLength}`,
    ` commands=${picture.perSecond.toFixed(0)}/s median=${picture.medianMs.toFixed(1)}ms p99=${picture.p99Ms.toFixed(1)}ms`,
  ].join('')
}

function bar(ratio: number, width = 20): string {
  const filled = Math.round(ratio * width)
  return '█'.repeat(filled) + '░'.repeat(width - filled)
}

/** Cuts a line to the width that is seen. A cut line loses its colours rather than its end marks. */
function cut(line: string, width: number): string {
  const plain = stripVTControlCharacters(line)
  return plain.length <= width ? line : `${plain.slice(0, width - 1)}…`
}
