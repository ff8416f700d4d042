import type { Labels, Severity } from './alert.js'
import { examine, keyOf } from './fingerprint.js'
import { requireSeverity } from './options.js'
import type { Redact } from './redact.js'
import type { Matching } from './silences.js'
import { oneLine, plainText, shorten, soundText } from './text.js'
import type { Occurrence } from './transitions.js'

/** An alert, as a program raises it. */
export interface AlertInput {
  /** What is wrong, in a few words that stay the same: `database down`. With the labels it says which alert it is. */
  readonly name: string
  /** How urgent it is. */
  readonly severity: Severity
  /** What happened, for people. It may differ each time. */
  readonly message: string
  /** What it is about. `name` and `severity` are taken. */
  readonly labels?: Readonly<Record<string, string | number | bigint | boolean>>
}

/** How {@link Alerts.report} tells of an error. */
export interface ReportOptions {
  /** How urgent it is; `WARNING` unless told. */
  readonly severity?: Severity
  /** What it is about. `name`, `severity` and `origin` are taken. */
  readonly labels?: AlertInput['labels']
}

/** An occurrence with the key of its alert. */
export interface TakenIn extends Occurrence {
  readonly key: string
}

/** No secret is longer. */
const MAX_SECRET = 2_000

const LIMITS = { name: 200, message: 4_000, labels: 32, label: 100, value: 500 } as const

/** Makes of anything that a program hands in something that can be kept, compared and shown: short, whole, without secrets. */
export class Intake {
  readonly #redact: Redact
  #last: { readonly name: string; readonly labels: readonly [string, unknown][]; readonly taken: TakenIn } | undefined

  constructor(redact: Redact) {
    this.#redact = (text) => {
      const sound = soundText(text)
      const clean = redact(sound)
      // Where a text was cut may stand half a secret, which nobody recognises.
      return sound.length < text.length ? clean.slice(0, -MAX_SECRET) : clean
    }
  }

  /** @throws TypeError when it is no alert */
  alert(input: AlertInput): TakenIn {
    const { name, severity, message, labels } = (input as Partial<AlertInput> | null | undefined) ?? {}
    const same = this.#same(name, labels)
    if (same !== undefined && typeof message === 'string') {
      requireSeverity('Alerts.fire', severity)
      return { ...same, severity, message: this.message(message) }
    }
    if (typeof name !== 'string' || oneLine(name) === '') throw new TypeError('Alerts.fire: give the alert a name')
    requireSeverity('Alerts.fire', severity)
    if (typeof message !== 'string') throw new TypeError('Alerts.fire: message must be a string')
    const taken = this.take(name, severity, message, this.labels('Alerts.fire', labels), true)
    this.#last = { name, labels: labels === undefined ? [] : Object.entries(labels), taken }
    return taken
  }

  /** What was taken in last, if this is the same alert: in a storm it is, and there is no time to lose. */
  #same(name: unknown, labels: unknown): TakenIn | undefined {
    const last = this.#last
    if (last === undefined || last.name !== name) return undefined
    if (labels === undefined) return last.labels.length === 0 ? last.taken : undefined
    if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) return undefined
    let count = 0
    for (const label in labels) {
      const before = last.labels[count++]
      if (before === undefined || before[0] !== label) return undefined
      if (!Object.is(before[1], (labels as Record<string, unknown>)[label])) return undefined
    }
    return count === last.labels.length ? last.taken : undefined
  }

  /** Takes anything that can be thrown. */
  error(thrown: unknown, options: ReportOptions): TakenIn {
    const { severity = 'WARNING', labels } = options
    requireSeverity('Alerts.report', severity)
    const { name, message, origin } = examine(thrown)
    const all = { ...this.labels('Alerts.report', labels), origin }
    return this.take(name, severity, message, all, false)
  }

  take(name: string, severity: Severity, message: string, labels: Labels, isLasting: boolean, about?: string): TakenIn {
    const shortName = shorten(oneLine(this.#redact(name)), LIMITS.name)
    const key = keyOf(shortName, labels)
    return {
      key,
      name: shortName,
      labels,
      severity,
      message: this.message(message),
      about,
      isLasting,
    }
  }

  /** A message as it is kept. */
  message(text: string): string {
    return shorten(plainText(this.#redact(String(text))), LIMITS.message)
  }

  /** The key of what was taken in under this name and these labels. */
  key(name: string, labels: AlertInput['labels']): string {
    return keyOf(shorten(oneLine(this.#redact(String(name))), LIMITS.name), this.labels('Alerts.resolve', labels))
  }

  /** @throws TypeError when a label is none */
  labels(where: string, labels: unknown): Labels {
    if (labels === undefined) return NONE
    if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
      throw new TypeError(`${where}: labels must be an object, such as { component: 'database' }`)
    }
    const entries = Object.entries(labels)
    if (entries.length > LIMITS.labels)
      throw new TypeError(`${where}: at most ${LIMITS.labels} labels, not ${entries.length}`)
    return Object.fromEntries(entries.map(([label, value]) => this.#label(where, label, value)))
  }

  /** What is looked for, as it looks in what was taken in. */
  matching(matching: Matching): Matching {
    const clean = (text: string, length: number): string => shorten(oneLine(this.#redact(text)), length)
    const entries = Object.entries(matching).map(([label, wanted]): [string, string | readonly string[]] => {
      const length = label === 'name' ? LIMITS.name : LIMITS.value
      const words = typeof wanted === 'string' ? clean(wanted, length) : wanted.map((word) => clean(word, length))
      return [clean(label, LIMITS.label), words]
    })
    return Object.fromEntries(entries)
  }

  #label(where: string, label: string, value: unknown): [string, string] {
    if (label === 'name' || label === 'severity') throw new TypeError(`${where}: no label can be called "${label}"`)
    if (!['string', 'number', 'bigint', 'boolean'].includes(typeof value)) {
      throw new TypeError(`${where}: the label ${JSON.stringify(label)} must be a string, a number or a boolean`)
    }
    const clean = (text: string, length: number): string => shorten(oneLine(this.#redact(text)), length)
    return [clean(label, LIMITS.label), clean(String(value), LIMITS.value)]
  }
}

const NONE: Labels = {}
