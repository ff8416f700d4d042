import type { Layers } from './layers.js'
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
  readonly #clock: Clock
  readonly #entries = new Map<string, { readonly place: OverridePlace; readonly until: OverrideUntil }>()
  readonly #expiry: OverrideExpiry

  /** @param onEnd - is told when the time of one is over */
  constructor(layers: Layers, clock: Clock, onEnd: (turn: OverrideTurn) => void) {
    this.#layers = layers
    this.#clock = clock
    this.#expiry = new OverrideExpiry(clock, (place) => {
      const turn = this.set(place, undefined)
      if (turn !== undefined) onEnd(turn)
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
    const key = overrideKey(place)
    const from = this.#entries.get(key)?.until.override.value
    if (until === undefined) this.#entries.delete(key)
    else this.#entries.set(key, { place, until })
    const leftMs = until?.expiresAt === undefined ? undefined : until.expiresAt - this.#clock.now()
    this.#expiry.set(place, leftMs)
    const to = until?.override.value
    if (from === to) return undefined
    this.#answer(place, to)
    return { place, from, to: until }
  }

  /** These are all that there are. */
  replace(all: readonly (readonly [OverridePlace, OverrideUntil])[]): OverrideTurn[] {
    const keep = new Set(all.map(([place]) => overrideKey(place)))
    const gone = [...this.#entries].filter(([key]) => !keep.has(key)).map(([, { place }]) => place)
    return [...gone.map((place) => this.set(place, undefined)), ...all.map((each) => this.set(...each))].filter(
      (turn) => turn !== undefined,
    )
  }

  /** Answers anew for flags that are described otherwise now: a variant may have another index. */
  renew(flags: ReadonlySet<string>): void {
    for (const { place, until } of this.#entries.values()) {
      if (flags.has(place.flag)) this.#answer(place, until.override.value)
    }
  }

  #answer({ flag, whose, id }: OverridePlace, value: boolean | string | undefined): void {
    const spec = this.#layers.current.flags.get(flag)?.record.spec
    // Another version of the bot may know other flags, and other variants.
    const answer = typeof value === 'string' && spec?.kind === 'variant' ? spec.variants.indexes.get(value) : value
    this.#layers.setOverride(flag, whose, id, typeof answer === 'string' ? undefined : answer)
  }
}
