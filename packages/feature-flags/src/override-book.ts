import type { Layers } from './layers.js'
import type { OverrideAnswer } from './override-answers.js'
import { OverrideExpiry } from './override-expiry.js'
import type { Clock } from './ports.js'
import { overrideKey, type OverridePlace, type OverrideUntil } from './stored-override.js'

/** An override that is another one now. */
export interface OverrideTurn {
  readonly place: OverridePlace
  readonly from: boolean | string | undefined
  readonly to: OverrideUntil | undefined
}

/** All overrides, by the names of variants, and until when they hold; the layers answer by them. */
export class OverrideBook {
  readonly #layers: Layers
  readonly #entries = new Map<string, { readonly place: OverridePlace; readonly until: OverrideUntil }>()
  readonly #expiry: OverrideExpiry

  /**
   * @param onEnd - is told when the time of one is over
   * @param checkIntervalMs - how late that may be noticed after the wall clock has leapt
   */
  constructor(layers: Layers, clock: Clock, onEnd: (turn: OverrideTurn) => void, checkIntervalMs = 5_000) {
    this.#layers = layers
    this.#expiry = new OverrideExpiry(clock, checkIntervalMs, (places) => {
      for (const turn of this.#setAll(places.map((place) => [place, undefined]))) onEnd(turn)
    })
  }

  /** All that hold. */
  entries(): readonly (readonly [OverridePlace, OverrideUntil])[] {
    return [...this.#entries.values()].map(({ place, until }) => [place, until])
  }

  /** The one that holds there. */
  get(place: OverridePlace): OverrideUntil | undefined {
    return this.#entries.get(overrideKey(place))?.until
  }

  /** @returns what it was and is now; `undefined` when that is the same */
  set(place: OverridePlace, until: OverrideUntil | undefined): OverrideTurn | undefined {
    return this.#setAll([[place, until]])[0]
  }

  /** These are all that there are. */
  replace(all: readonly (readonly [OverridePlace, OverrideUntil])[]): OverrideTurn[] {
    const keep = new Set(all.map(([place]) => overrideKey(place)))
    const gone = [...this.#entries]
      .filter(([key]) => !keep.has(key))
      .map(([, { place }]) => [place, undefined] as const)
    return this.#setAll([...gone, ...all])
  }

  /** Answers anew for flags that are described otherwise now: a variant may have another index. */
  renew(flags: ReadonlySet<string>): void {
    if (flags.size === 0) return
    const some = [...this.#entries.values()].filter(({ place }) => flags.has(place.flag))
    this.#layers.setOverrides(some.map(({ place, until }) => this.#answer(place, until.override.value)))
  }

  /** Ends none whose time is over, until {@link OverrideBook.resume}. */
  stop(): void {
    this.#expiry.stop()
  }

  /** Ends those whose time is over, at once and from now on, as it does from the beginning. */
  resume(): void {
    this.#expiry.resume()
  }

  /** All of them are in force before anybody is told of one. */
  #setAll(all: readonly (readonly [OverridePlace, OverrideUntil | undefined])[]): OverrideTurn[] {
    const turns = all.map(([place, until]) => this.#note(place, until)).filter((turn) => turn !== undefined)
    this.#layers.setOverrides(turns.map(({ place, to }) => this.#answer(place, to?.override.value)))
    return turns
  }

  #note(place: OverridePlace, until: OverrideUntil | undefined): OverrideTurn | undefined {
    const key = overrideKey(place)
    const from = this.#entries.get(key)?.until.override.value
    if (until === undefined) this.#entries.delete(key)
    else this.#entries.set(key, { place, until })
    this.#expiry.set(place, until?.expiresAt)
    return from === until?.override.value ? undefined : { place, from, to: until }
  }

  /** Another version of the bot may know other flags, flags of another kind, and other variants. */
  #answer(place: OverridePlace, value: boolean | string | undefined): OverrideAnswer {
    const spec = this.#layers.current.flags.get(place.flag)?.record.spec
    if (spec?.kind === 'variant') {
      return { ...place, value: typeof value === 'string' ? spec.variants.indexes.get(value) : undefined }
    }
    return { ...place, value: spec !== undefined && typeof value === 'boolean' ? value : undefined }
  }
}
