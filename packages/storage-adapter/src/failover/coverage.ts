/** Which collections of the local copy are complete, and so may be read in an outage. */
export class Coverage {
  readonly #scope: 'all' | ReadonlySet<string>
  #covered: 'all' | Set<string>

  /**
   * @param scope - the collections that are copied at all
   * @param covered - those that were complete when this was last written down
   */
  constructor(scope: 'all' | Iterable<string>, covered: 'all' | readonly string[]) {
    this.#scope = scope === 'all' ? 'all' : new Set(scope)
    this.#covered = covered === 'all' ? 'all' : new Set(covered)
    // What is not copied any more goes stale; when it is copied again, it must not pass for complete.
    if (this.#scope === 'all') return
    const within = [...this.#scope]
    const known = this.#covered
    this.#covered = new Set(known === 'all' ? within : within.filter((name) => known.has(name)))
  }

  /** Whether the collection is copied at all. */
  mirrors(collection: string): boolean {
    return this.#scope === 'all' || this.#scope.has(collection)
  }

  /** Whether the collection can be read here. */
  covers(collection: string): boolean {
    return this.#covered === 'all' || this.#covered.has(collection)
  }

  /** Whether everything that is copied at all is complete. */
  get isComplete(): boolean {
    const covered = this.#covered
    if (covered === 'all') return true
    return this.#scope !== 'all' && [...this.#scope].every((name) => covered.has(name))
  }

  /** Whether every collection of the primary can be read here, so that their names can be listed. */
  get isEverything(): boolean {
    return this.#covered === 'all'
  }

  /** For people, and for the disk. */
  get value(): 'all' | readonly string[] {
    return this.#covered === 'all' ? 'all' : [...this.#covered]
  }

  add(collection: string): void {
    if (this.#covered !== 'all') this.#covered.add(collection)
  }

  /** Everything that is copied is complete, also collections that do not exist yet. */
  addAll(): void {
    this.#covered = this.#scope === 'all' ? 'all' : new Set(this.#scope)
  }

  /**
   * @param collections - those that may lack something
   * @param known - all that there are
   */
  remove(collections: readonly string[], known: readonly string[]): void {
    const covered = this.#covered === 'all' ? known : this.#covered
    this.#covered = new Set([...covered].filter((name) => !collections.includes(name)))
  }

  restore(value: 'all' | readonly string[]): void {
    this.#covered = value === 'all' ? 'all' : new Set(value)
  }
}
