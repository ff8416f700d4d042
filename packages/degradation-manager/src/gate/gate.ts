import type { Place } from '../admission/admission.js'
import { describeError } from '../outcome.js'
import type { Priority } from '../priority.js'
import { warn } from '../warning.js'
import type { CommandRule, GateAdmission, GateSettings } from './gate-options.js'
import { politeWords, refusalWords } from './polite-reply.js'
import type { PoliteKind } from './texts.js'

/** One command on its way, as every platform has it. */
export interface Visit<Event> {
  /** What came in. */
  readonly event: Event
  /** The command's name, subcommands included; undefined for what is no command. */
  readonly command: string | undefined
  readonly guildId: string | undefined
  readonly userId: string | undefined
  readonly locale: string | undefined
  /** Whether it only asks for suggestions while somebody types: the first to go without. */
  readonly isSuggestion: boolean
}

/** Why a command is not served. */
export interface Refusal {
  readonly kind: PoliteKind
  readonly why: string
  readonly retryAfterMs: number | undefined
  /** Whether its handler had begun, and may have acknowledged it. */
  readonly hasBegun: boolean
}

/** How a platform handles a command, and tells its user that it is not handled. */
export interface Passage {
  readonly handle: () => unknown
  /** Tells the user. */
  readonly refuse: (words: string, refusal: Refusal) => unknown
}

/** The one decision behind the gates of all platforms: what may pass, in which order, and what the others are told. */
export class Gate<Event, Rule extends CommandRule<never, never>> {
  readonly #settings: GateSettings<Event, Rule>
  /** How many commands of a feature are being handled, for features that a mode limits. */
  readonly #inFlight = new Map<string, number>()

  constructor(settings: GateSettings<Event, Rule>) {
    this.#settings = settings
  }

  /** The rule of a command: its own, that of the command that it is a subcommand of, or that of all others. */
  ruleOf(command: string | undefined): Rule | undefined {
    const { rules } = this.#settings
    for (let name = command ?? ''; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf(' ')))) {
      const rule = rules.get(name)
      if (rule !== undefined) return rule
    }
    return command === undefined ? undefined : rules.get('*')
  }

  /**
   * Handles a command, or tells its user why not.
   *
   * @throws what the handler throws, unless that was refused further in: that is told to the user
   */
  async pass(visit: Visit<Event>, passage: Passage): Promise<void> {
    const rule = this.ruleOf(visit.command) as CommandRule | undefined
    if (rule === undefined) return void (await this.#handle(visit, passage))
    const before = this.#refusalByFlag(rule, visit) ?? this.#refusalByMode(rule)
    if (before !== undefined) return this.#refuse(visit, passage, before)
    const { admission } = this.#settings
    const place = admission === undefined ? anyPlace : await this.#enter(admission, rule, visit, passage)
    if (place === undefined) return
    // The mode may have changed while it waited, or others have come in.
    const after = this.#refusalByMode(rule)
    if (after !== undefined) {
      place.release('ignored')
      return this.#refuse(visit, passage, after)
    }
    const leave = this.#count(rule, place)
    let wasRefused = false
    try {
      wasRefused = !(await this.#handle(visit, passage))
    } finally {
      // How long a refusal took says nothing about how long handling takes.
      leave(wasRefused ? 'ignored' : undefined)
    }
  }

  /** A place; undefined when there is none, and the user has been told. */
  async #enter(
    admission: GateAdmission,
    rule: CommandRule,
    visit: Visit<Event>,
    passage: Passage,
  ): Promise<Place | undefined> {
    const { guildId, userId, isSuggestion } = visit
    const priority = isSuggestion ? 'optional' : this.#priorityOf(rule)
    try {
      return await admission.acquire({ priority, key: guildId ?? userId ?? '' })
    } catch (error) {
      if (!isRefused(error)) throw error
      const { retryAfterMs } = refusalWords(error)
      await this.#refuse(visit, passage, { kind: 'busy', why: describeError(error), retryAfterMs, hasBegun: false })
      return undefined
    }
  }

  #priorityOf({ priority, feature }: CommandRule): Priority {
    if (priority !== undefined) return priority
    return feature === undefined ? 'normal' : (this.#settings.modes?.feature(feature).priority ?? 'normal')
  }

  #refusalByMode({ feature }: CommandRule): Refusal | undefined {
    const { modes } = this.#settings
    if (feature === undefined || modes === undefined) return undefined
    const { state, maxConcurrent } = modes.feature(feature)
    if (state === 'off') {
      const explanation = modes.explain(feature)
      return { ...refusalWords(explanation), why: explanation.why, hasBegun: false }
    }
    // A feature that is left to its fallback passes, without a limit: only the guards inside the handler know the fallback.
    if (state !== 'limited' || (this.#inFlight.get(feature) ?? 0) < maxConcurrent) return undefined
    return refusal('busy', `"${feature}" is limited to ${maxConcurrent} at once, and as many are being handled`)
  }

  /** What cannot be asked counts as on: a broken source of flags must not take every command with it. */
  #refusalByFlag({ flag }: CommandRule, { command = '', guildId, userId }: Visit<Event>): Refusal | undefined {
    const { flags } = this.#settings
    if (flag === undefined || flags === undefined) return undefined
    try {
      const name = typeof flag === 'function' ? flag(command) : flag
      if (name === undefined || flags.isEnabled(name, { guildId, userId })) return undefined
      return refusal('off', `flag "${name}" is off`)
    } catch (error) {
      warn(`The flag of the command "${command}" could not be asked, so it counts as on`, error)
      return undefined
    }
  }

  /** Counts a command as being handled, until it ends, or until it has held its place for too long. */
  #count({ feature }: CommandRule, place: Place): Place['release'] {
    const { clock, maxHeldMs } = this.#settings
    if (feature !== undefined) this.#inFlight.set(feature, (this.#inFlight.get(feature) ?? 0) + 1)
    let isHeld = true
    const leave: Place['release'] = (outcome) => {
      if (!isHeld) return
      isHeld = false
      if (feature !== undefined) this.#inFlight.set(feature, (this.#inFlight.get(feature) ?? 1) - 1)
      place.release(outcome)
    }
    if (maxHeldMs === Infinity) return leave
    const cancel = clock.after(maxHeldMs, () => leave('ignored'))
    return (outcome) => {
      cancel()
      leave(outcome)
    }
  }

  /** Whether it was handled, and not refused further in. */
  async #handle(visit: Visit<Event>, passage: Passage): Promise<boolean> {
    try {
      await passage.handle()
      return true
    } catch (error) {
      if (!isRefused(error)) throw error
      await this.#refuse(visit, passage, { ...refusalWords(error), why: describeError(error), hasBegun: true })
      return false
    }
  }

  async #refuse(visit: Visit<Event>, passage: Passage, refused: Refusal): Promise<void> {
    const { texts, onRefused } = this.#settings
    const { event, command = '', locale } = visit
    const { kind, why, retryAfterMs } = refused
    try {
      onRefused?.({ command, kind, why, retryAfterMs, event })
    } catch (error) {
      warn('onRefused of a gate threw', error)
    }
    const words = politeWords(kind, retryAfterMs, { command: this.#label(command), locale, texts })
    try {
      await passage.refuse(words, refused)
    } catch (error) {
      this.unanswered(visit, error)
    }
  }

  /** The words for what went wrong, for a user who waits for an answer. */
  words(cause: unknown, { command, locale }: Visit<Event>): string {
    const { kind, retryAfterMs } = refusalWords(cause)
    return politeWords(kind, retryAfterMs, { command: this.#label(command), locale, texts: this.#settings.texts })
  }

  /** The platform took no answer. The bot goes on: nobody waits any more, or another copy of it has answered. */
  unanswered({ event, command }: Visit<Event>, error: unknown): void {
    const { onUnanswered } = this.#settings
    if (onUnanswered === undefined) {
      warn(`The user of ${this.#label(command) ?? 'an event'} could not be told`, error)
      return
    }
    try {
      onUnanswered(event, error)
    } catch (thrown) {
      warn('onUnanswered of a gate threw', thrown)
    }
  }

  /** The command as a user knows it. One made of what somebody wrote must not put a mention or a link into our mouth. */
  #label(command = ''): string | undefined {
    return this.#settings.rules.has(command) || harmless.test(command) ? `/${command}` : undefined
  }
}

/** What platforms allow as the name of a command: letters of all languages, and two or three of them with spaces between. */
const harmless = /^[\p{L}\p{M}\p{N}_' -]{1,100}$/u

/** Where nothing bounds how many are handled. */
const anyPlace: Place = { release: () => {} }

function refusal(kind: PoliteKind, why: string): Refusal {
  return { kind, why, retryAfterMs: undefined, hasBegun: false }
}

/** By its code, for another copy of this package may have made it. */
function isRefused(error: unknown): boolean {
  try {
    const { code } = (error ?? {}) as { code?: unknown }
    return code === 'SHED' || code === 'NO_IMPLEMENTATION'
  } catch {
    return false
  }
}
