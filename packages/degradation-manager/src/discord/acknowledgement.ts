import { asMessage, isEphemeral, withoutVisibility, type AnswerOptions } from './visibility.js'
import { isAutocomplete, type GatedInteraction } from './interaction.js'

type Method = (...args: unknown[]) => Promise<unknown>

/** The calls of which Discord takes one, once. */
const firstAnswers = ['reply', 'deferReply', 'update', 'deferUpdate', 'showModal', 'launchActivity', 'respond'] as const
type FirstAnswer = (typeof firstAnswers)[number]

/** The calls that go to the answer, wherever that is. */
const laterCalls = ['editReply', 'deleteReply', 'fetchReply'] as const
type LaterCall = (typeof laterCalls)[number]

/** How it was deferred: to a new message, to the message of the button, or by giving no suggestions. */
type Deferral = 'public' | 'ephemeral' | 'update' | 'suggestions'

/**
 * Acknowledges an interaction once, whoever comes first: its handler, or a deferral because the handler takes long. What
 * the handler says after such a deferral is said in the way that is still open, so it need not know.
 */
export class Acknowledgement {
  readonly #interaction: GatedInteraction
  readonly #originals = new Map<string, Method>()
  /** How many first answers of the handler are on their way or were taken. */
  #begun = 0
  /** The newest of them, settled or not. */
  #newest: Promise<unknown> = Promise.resolve()
  #deferral: { kind: Deferral; readonly taken: Promise<unknown>; isTaken: boolean; isAnswered: boolean } | undefined
  /** The message that stands in for the answer, where the visibility of the deferral was not the one wanted. */
  #standIn: string | undefined
  /** Whether the deferral was deleted, and what is to stand in for it may still be missing. */
  #isDeleted = false

  /** From here on the handler's calls pass through this. */
  constructor(interaction: GatedInteraction) {
    this.#interaction = interaction
    const methods = interaction as unknown as Record<string, Method | undefined>
    const pass = (name: string, run: Method): void => {
      const method = methods[name]
      if (typeof method !== 'function') return
      this.#originals.set(name, method.bind(interaction))
      Object.defineProperty(interaction, name, { value: run, writable: true, configurable: true })
    }
    for (const name of firstAnswers) pass(name, (...args) => this.#first(name, args))
    for (const name of laterCalls) pass(name, (...args) => this.#later(name, args))
    // The first follow-up would take on the visibility of the deferral, of which the handler knows nothing.
    pass('followUp', (...args) => (this.#isOwed ? this.#afterDeferral('reply', args) : this.#call('followUp', ...args)))
  }

  /** Whether the interaction still waits for a first answer, as far as this process knows. */
  get isOpen(): boolean {
    const { replied, deferred } = this.#interaction
    const { responded } = this.#interaction as { responded?: unknown }
    return (
      this.#begun === 0 && this.#deferral === undefined && replied !== true && deferred !== true && responded !== true
    )
  }

  /** Whether the user is shown by us that an answer will come, and none has. Waits for a deferral on its way. */
  async owes(): Promise<boolean> {
    await this.#deferral?.taken.catch(() => {})
    return this.#isOwed
  }

  get #isOwed(): boolean {
    return this.#deferral?.isTaken === true && !this.#deferral.isAnswered && this.#deferral.kind !== 'suggestions'
  }

  /**
   * Says that an answer will come, unless one is on its way.
   *
   * @throws what Discord refuses it with
   */
  async defer(visibility: 'public' | 'ephemeral'): Promise<void> {
    if (!this.isOpen) return
    const kind = this.#kindOfDeferral(visibility)
    if (kind === undefined) return
    const taken =
      kind === 'suggestions'
        ? this.#call('respond', [])
        : kind === 'update'
          ? this.#call('deferUpdate')
          : this.#call('deferReply', kind === 'ephemeral' ? { flags: 'Ephemeral' } : {})
    const deferral = { kind, taken, isTaken: false, isAnswered: false }
    this.#deferral = deferral
    try {
      await taken
      deferral.isTaken = true
    } catch (error) {
      // The handler may still be in time, or somebody else was first: its own call will tell.
      this.#deferral = undefined
      throw error
    }
  }

  /** Tells the user something, privately, in whatever way is still open. */
  async say(words: string): Promise<void> {
    await this.#newest.catch(() => {})
    if (isAutocomplete(this.#interaction)) {
      if (this.isOpen) await this.#first('respond', [[]])
      return
    }
    const answer = { content: words, flags: 'Ephemeral' }
    if (this.#deferral !== undefined) {
      // What the handler has said since then stays as it is.
      await (this.#deferral.isAnswered ? this.#call('followUp', answer) : this.#afterDeferral('reply', [answer]))
      return
    }
    const { deferred, replied, ephemeral } = this.#interaction as GatedInteraction & { ephemeral?: unknown }
    if (deferred !== true && replied !== true) await this.#first('reply', [answer])
    // The handler's own "is thinking" waits for an answer. A button's message has none, and stays as it is.
    else if (replied === true || typeof ephemeral !== 'boolean') await this.#call('followUp', answer)
    else if (ephemeral) await this.#call('editReply', { content: words })
    else await this.#replace(answer, true)
  }

  #kindOfDeferral(visibility: 'public' | 'ephemeral'): Deferral | undefined {
    if (isAutocomplete(this.#interaction)) return 'suggestions'
    const { message } = this.#interaction as { message?: unknown }
    if (this.#originals.has('deferUpdate') && message !== undefined && message !== null) return 'update'
    return this.#originals.has('deferReply') ? visibility : undefined
  }

  async #first(name: FirstAnswer, args: unknown[]): Promise<unknown> {
    if (this.#deferral !== undefined) {
      const done = this.#afterDeferral(name, args)
      this.#newest = done
      return done
    }
    this.#begun++
    const done = this.#call(name, ...args)
    this.#newest = done
    try {
      return await done
    } catch (error) {
      // It was refused, so the interaction may be as open as before.
      this.#begun--
      throw error
    }
  }

  /** What the handler wanted as the first answer, now that it was deferred. */
  async #afterDeferral(name: FirstAnswer, args: unknown[]): Promise<unknown> {
    const deferral = this.#deferral
    try {
      await deferral?.taken
    } catch {
      // It was not deferred after all, so the first answer is the handler's.
      return this.#first(name, args)
    }
    if (deferral === undefined || (deferral.isAnswered && name !== 'deferReply')) return this.#call(name, ...args)
    const [options] = args
    const { kind } = deferral
    switch (name) {
      case 'respond':
        // The suggestions were due before; nobody waits for these.
        return undefined
      case 'deferUpdate':
        return kind === 'update' ? this.#result(options) : this.#call(name, ...args)
      case 'deferReply': {
        const wanted = isEphemeral(options)
        if (kind !== 'update' && (kind === 'ephemeral') === wanted) return this.#result(options)
        const waiting = { content: '…' }
        const shown = await (kind === 'update' ? this.#followUp(waiting, wanted) : this.#replace(waiting, wanted))
        deferral.kind = wanted ? 'ephemeral' : 'public'
        return this.#result(options, shown)
      }
      case 'reply':
        return this.#result(options, await this.#answer(() => this.#reply(kind, options)))
      case 'update':
        return this.#result(options, await this.#answer(() => this.#call('editReply', withoutVisibility(options))))
      case 'showModal':
      case 'launchActivity':
        // Discord takes these as the first answer only; discord.js says so.
        return this.#call(name, ...args)
    }
  }

  async #later(name: LaterCall, args: unknown[]): Promise<unknown> {
    return name === 'fetchReply' ? this.#toAnswer(name, args) : this.#answer(() => this.#toAnswer(name, args))
  }

  async #toAnswer(name: LaterCall, args: unknown[]): Promise<unknown> {
    if (this.#standIn === undefined) return this.#call(name, ...args)
    const [first] = args
    if (name !== 'editReply') return this.#call(name, first ?? this.#standIn)
    const options = typeof first === 'string' ? { content: first } : (first as AnswerOptions)
    return this.#call(name, { message: this.#standIn, ...options })
  }

  /** Answers after a deferral. While that is on its way nobody else has to; when it is refused the user still waits. */
  async #answer(work: () => Promise<unknown>): Promise<unknown> {
    const deferral = this.#deferral
    if (deferral === undefined || deferral.isAnswered) return work()
    deferral.isAnswered = true
    try {
      return await work()
    } catch (error) {
      deferral.isAnswered = false
      throw error
    }
  }

  #reply(kind: Deferral, options: unknown): Promise<unknown> {
    const wanted = isEphemeral(options)
    if (kind === 'update') return this.#followUp(options, wanted)
    const isAsWanted = (kind === 'ephemeral') === wanted && !this.#isDeleted
    return isAsWanted ? this.#toAnswer('editReply', [withoutVisibility(options)]) : this.#replace(options, wanted)
  }

  /** The visibility of a message never changes, so the deferral goes, and another message comes. */
  async #replace(answer: unknown, ephemeral: boolean): Promise<unknown> {
    // First the one, then the other: a follow-up while the deferral stands would take on its visibility.
    if (!this.#isDeleted) await this.#toAnswer('deleteReply', [])
    this.#standIn = undefined
    this.#isDeleted = true
    return this.#followUp(answer, ephemeral)
  }

  async #followUp(answer: unknown, ephemeral: boolean): Promise<unknown> {
    const message = await this.#call('followUp', asMessage(answer, ephemeral))
    const { id } = (message ?? {}) as { id?: unknown }
    if (typeof id === 'string') this.#standIn = id
    this.#isDeleted = false
    return message
  }

  /** What a first answer resolves with: a handle to it, or what Discord made of it, for whoever asks for that. */
  async #result(options: unknown, message?: unknown): Promise<unknown> {
    const { withResponse, fetchReply } = (
      typeof options === 'object' && options !== null ? options : {}
    ) as AnswerOptions
    // The handle edits and deletes through the interaction, so it follows whatever stands in for the answer.
    if (withResponse !== true && fetchReply !== true) return this.#deferral?.taken
    const answer = message ?? (await this.#toAnswer('fetchReply', []))
    return withResponse === true ? { resource: { message: answer } } : answer
  }

  #call(name: string, ...args: unknown[]): Promise<unknown> {
    const original = this.#originals.get(name)
    if (original !== undefined) return original(...args)
    const method = (this.#interaction as unknown as Record<string, Method | undefined>)[name]
    if (method === undefined) return Promise.reject(new TypeError(`This interaction cannot ${name}`))
    return method.apply(this.#interaction, args)
  }
}
