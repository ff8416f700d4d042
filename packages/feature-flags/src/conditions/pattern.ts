import { has, type Characters } from './characters.js'
import { parsePattern, type PatternNode } from './pattern-syntax.js'

/** A longer text is never searched, so that a hostile one costs no more. */
const maxSubject = 1_000
const maxStates = 1_000

/** What a state does: `read` takes one character, the others lead on without. */
type State =
  | { readonly kind: 'read'; readonly characters: Characters }
  | { readonly kind: 'fork'; readonly first: number; readonly second: number }
  | { readonly kind: 'start' | 'end' | 'found' }

/**
 * A regular expression that is searched for in linear time: all ways through it are followed side by side, one
 * character at a time, and ways that meet become one (Thompson's simulation). No text makes it go back.
 *
 * @see https://swtch.com/~rsc/regexp/regexp1.html
 */
export class Pattern {
  readonly #states: readonly State[]
  /** The states that wait for the character at this place, and for the next; reused, so that a search allocates nothing. */
  #here: Uint16Array
  #next: Uint16Array
  /** For each state the place at which it was last reached, counted on over all searches. */
  readonly #reachedAt: Uint32Array
  readonly #pending: Uint16Array
  #place = 0
  #steps = 0

  /** @throws SyntaxError with what is wrong with the source and what to write instead */
  constructor(source: string) {
    const node = parsePattern(source)
    const count = sizeOf(node) + 1
    // Before a single copy is made: {999}{999} would be a million.
    if (!(count <= maxStates)) throw new SyntaxError('written out it has more than 1,000 steps; repeat less')
    const states: State[] = []
    emit(node, states)
    states.push({ kind: 'found' })
    this.#states = states
    this.#here = new Uint16Array(count)
    this.#next = new Uint16Array(count)
    this.#reachedAt = new Uint32Array(count)
    this.#pending = new Uint16Array(count + 1)
  }

  /** How many states there are. */
  get size(): number {
    return this.#states.length
  }

  /** How often the last search looked at a state: at most {@link Pattern.size} for each character, twice. */
  get steps(): number {
    return this.#steps
  }

  /** Whether it is found in the text, which may have up to 1,000 UTF-16 units. */
  isIn(subject: string): boolean {
    const { length } = subject
    this.#steps = 0
    if (length > maxSubject) return false
    // Counted on without end it would meet old marks.
    if (this.#place > 2 ** 31) {
      this.#place = 0
      this.#reachedAt.fill(0)
    }
    this.#place++
    let waiting = 0
    for (let at = 0; ;) {
      // A way may begin anywhere.
      waiting = this.#reach(0, at, length, this.#here, waiting)
      if (waiting < 0) return true
      if (at >= length) return false
      const character = subject.codePointAt(at) as number
      at += character > 0xffff ? 2 : 1
      this.#place++
      let kept = 0
      for (let i = 0; i < waiting; i++) {
        const index = this.#here[i] as number
        const state = this.#states[index] as State
        this.#steps++
        if (state.kind !== 'read' || !has(state.characters, character)) continue
        kept = this.#reach(index + 1, at, length, this.#next, kept)
        if (kept < 0) return true
      }
      const spare = this.#here
      this.#here = this.#next
      this.#next = spare
      waiting = kept
    }
  }

  /** Adds what can be reached from a state without a character to the list; the new length, or -1 when it is found. */
  #reach(from: number, at: number, length: number, list: Uint16Array, count: number): number {
    let added = count
    let open = 0
    this.#pending[open++] = from
    while (open > 0) {
      const index = this.#pending[--open] as number
      if (this.#reachedAt[index] === this.#place) continue
      this.#reachedAt[index] = this.#place
      this.#steps++
      const state = this.#states[index] as State
      switch (state.kind) {
        case 'read':
          list[added++] = index
          break
        case 'fork':
          this.#pending[open++] = state.second
          this.#pending[open++] = state.first
          break
        case 'start':
          if (at === 0) this.#pending[open++] = index + 1
          break
        case 'end':
          if (at === length) this.#pending[open++] = index + 1
          break
        case 'found':
          return -1
      }
    }
    return added
  }
}

/** How many states {@link emit} makes. Nothing counts as one, or a hostile pattern could repeat it without limit. */
function sizeOf(node: PatternNode): number {
  switch (node.kind) {
    case 'characters':
    case 'start':
    case 'end':
      return 1
    case 'sequence':
      return Math.max(1, sum(node.parts))
    case 'choice':
      return sum(node.parts) + 2 * (node.parts.length - 1)
    case 'repeat': {
      const size = sizeOf(node.part)
      return Math.max(1, node.min * size + (node.max === Infinity ? size + 2 : (node.max - node.min) * (size + 1)))
    }
  }
}

function sum(parts: readonly PatternNode[]): number {
  return parts.reduce((total, part) => total + sizeOf(part), 0)
}

/** Appends the states of a node. Each state but a fork leads to the one after it. */
function emit(node: PatternNode, states: State[]): void {
  switch (node.kind) {
    case 'characters':
      states.push({ kind: 'read', characters: node.characters })
      return
    case 'start':
    case 'end':
      states.push({ kind: node.kind })
      return
    case 'sequence':
      for (const part of node.parts) emit(part, states)
      return
    case 'choice':
      emitChoice(node.parts, states)
      return
    case 'repeat':
      for (let i = 0; i < node.min; i++) emit(node.part, states)
      if (node.max === Infinity) emitLoop(node.part, states)
      else for (let i = node.min; i < node.max; i++) emitOptional(node.part, states)
  }
}

function emitChoice(parts: readonly PatternNode[], states: State[]): void {
  const ends: number[] = []
  for (const part of parts.slice(0, -1)) {
    const fork = states.push(unset) - 1
    emit(part, states)
    ends.push(states.push(unset) - 1)
    states[fork] = { kind: 'fork', first: fork + 1, second: states.length }
  }
  emit(parts.at(-1) as PatternNode, states)
  for (const end of ends) states[end] = { kind: 'fork', first: states.length, second: states.length }
}

function emitLoop(part: PatternNode, states: State[]): void {
  const fork = states.push(unset) - 1
  emit(part, states)
  states.push({ kind: 'fork', first: fork, second: fork })
  states[fork] = { kind: 'fork', first: fork + 1, second: states.length }
}

function emitOptional(part: PatternNode, states: State[]): void {
  const fork = states.push(unset) - 1
  emit(part, states)
  states[fork] = { kind: 'fork', first: fork + 1, second: states.length }
}

/** Holds the place of a fork until it is known where it leads. */
const unset: State = { kind: 'fork', first: 0, second: 0 }
