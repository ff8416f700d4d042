import type { Labels } from './metric-family.js'
import type { Complain } from './warnings.js'

/** A label's value is cut here: what a user typed may be long. */
const MAX_VALUE_LENGTH = 200

/** What everything beyond the bound is counted under. */
const OTHER = 'other'

/** One metric with labels: a handle for each set of values. */
export class Labelled<Handle, Label extends string> {
  readonly #names: readonly Label[]
  readonly #maxSeries: number
  readonly #make: (labels: Labels) => Handle
  readonly #complain: Complain
  readonly #series = new Map<string, { readonly labels: Labels; readonly handle: Handle }>()

  /** @internal */
  constructor(names: readonly Label[], maxSeries: number, make: (labels: Labels) => Handle, complain: Complain) {
    this.#names = [...names]
    this.#maxSeries = maxSeries
    this.#make = make
    this.#complain = complain
  }

  /**
   * The handle for these values, always the same one. Keep it where it is used often: to ask for it is what costs.
   *
   * @remarks
   * *Gotchas*: when there are `maxSeries` handles already, whatever comes new shares one, all of whose labels are
   * `other`; that becomes one process warning with the code `EVENKEEL_METRICS`. So an identifier of a guild or a user is
   * no label: there are too many. A value is cut after 200 characters.
   *
   * @param labels - a value for each label of the metric
   * @throws TypeError when a label has no value, or is not one of the metric
   */
  with(labels: Readonly<Record<Label, string>>): Handle {
    let key = ''
    for (const name of this.#names) {
      const value: unknown = labels[name]
      if (typeof value !== 'string') {
        throw new TypeError(`Metrics: the label ${name} needs a value, a string; it got ${describe(value)}`)
      }
      // With its length in front no two lists of values look alike, whatever is in them.
      key += `${value.length}:${value}`
    }
    const known = this.#series.get(key)
    if (known !== undefined) return known.handle
    return this.#add(labels)
  }

  /** @internal */
  entries(): Iterable<{ readonly labels: Labels; readonly handle: Handle }> {
    return this.#series.values()
  }

  #add(given: Readonly<Record<Label, string>>): Handle {
    const stranger = Object.keys(given).find((name) => !this.#names.includes(name as Label))
    if (stranger !== undefined) {
      throw new TypeError(`Metrics: there is no label ${stranger}; there are ${this.#names.join(', ')}`)
    }
    const values = this.#names.map((name) => printable(given[name]))
    const isOther = values.every((value) => value === OTHER)
    // What was cut, or could not be written down, may be known under what has become of it.
    const known = this.#series.get(keyOf(values))
    if (known !== undefined) return known.handle
    if (this.#series.size >= this.#maxSeries && !isOther) {
      this.#complain(
        `it has ${this.#maxSeries} series, as many as maxSeries allows; what comes new is counted as "${OTHER}". ` +
          'Label by what there are few of, not by guild or user',
      )
      return this.#add(Object.fromEntries(this.#names.map((name) => [name, OTHER])) as Record<Label, string>)
    }
    const labels = Object.freeze(Object.fromEntries(this.#names.map((name, at) => [name, values[at] as string])))
    const handle = this.#make(labels)
    this.#series.set(keyOf(values), { labels, handle })
    return handle
  }
}

function keyOf(values: readonly string[]): string {
  return values.map((value) => `${value.length}:${value}`).join('')
}

/** A page is UTF-8: half a character would become a replacement there, and two series one. */
function printable(value: string): string {
  const cut = value.length > MAX_VALUE_LENGTH ? `${value.slice(0, MAX_VALUE_LENGTH - 1)}…` : value
  return cut.replace(/\p{Surrogate}/gu, '\ufffd')
}

function describe(value: unknown): string {
  return value === undefined ? 'nothing' : value === null ? 'null' : `a ${typeof value}`
}
