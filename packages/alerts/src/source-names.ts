import type { NewsSource } from './ports.js'

/** What the labels of watched parts call them: no two parts that are watched at the same time the same. */
export class SourceNames {
  readonly #held = new Map<string, { readonly source: NewsSource; times: number }>()

  /**
   * The part's name, or that of its class; with a number when another part has it. Who watches the same parts in the
   * same order gets the same names, after a restart too.
   */
  take(source: NewsSource, index: number): string {
    const base = ownName(source) ?? `part ${index + 1}`
    for (let number = 1; ; number++) {
      const name = number === 1 ? base : `${base} ${number}`
      const held = this.#held.get(name)
      if (held !== undefined && held.source !== source) continue
      this.#held.set(name, { source, times: (held?.times ?? 0) + 1 })
      return name
    }
  }

  /** It is not watched any more, once. */
  release(name: string): void {
    const held = this.#held.get(name)
    if (held !== undefined && --held.times === 0) this.#held.delete(name)
  }
}

function ownName(source: NewsSource): string | undefined {
  const { name } = source
  if (typeof name === 'string' && name !== '') return name
  const className = (source.constructor as { name?: unknown } | undefined)?.name
  return typeof className === 'string' && className !== 'Object' && className !== '' ? className : undefined
}
