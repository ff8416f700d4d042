import type { FakeClock } from '@evenkeel/testing'
import type { GatedInteraction } from '../discord/interaction.js'

interface Shown {
  content?: string
  ephemeral: boolean
}

/** An interaction that keeps discord.js' rules: one first answer, known to be taken only when Discord has said so. */
export class FakeInteraction implements GatedInteraction {
  readonly #clock: FakeClock
  readonly id = '1'
  guildId: string | null = '81384788765712384'
  user = { id: '53908099506183680' }
  locale = 'en-US'
  commandName = 'translate'
  deferred = false
  replied = false
  ephemeral: boolean | null = null
  message: object | null = null
  /** How long Discord takes to say that it has taken an answer. */
  delayMs = 0
  refuseWith: Error | undefined
  /** What Discord answers to an edit, or to another message. */
  refuseEditWith: Error | undefined
  readonly log: string[] = []
  /** What the channel shows, by id. */
  readonly shown = new Map<string, Shown>()
  #acknowledged = false
  #last = 0

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  async #first(name: string): Promise<void> {
    if (this.deferred || this.replied) throw new Error('InteractionAlreadyReplied')
    this.log.push(name)
    if (this.refuseWith !== undefined) throw this.refuseWith
    if (this.#acknowledged) throw new Error('40060: acknowledged twice')
    this.#acknowledged = true
    if (this.delayMs > 0) await new Promise<void>((resolve) => this.#clock.after(this.delayMs, resolve))
  }

  async reply(options: unknown): Promise<unknown> {
    await this.#first('reply')
    this.replied = true
    this.#show('@original', options)
    return this.#response(options)
  }

  async deferReply(options: { flags?: unknown; withResponse?: boolean; fetchReply?: boolean } = {}): Promise<unknown> {
    await this.#first('deferReply')
    this.deferred = true
    this.ephemeral = isPrivate(options)
    this.shown.set('@original', { ephemeral: this.ephemeral })
    return this.#response(options)
  }

  async deferUpdate(options: object = {}): Promise<unknown> {
    await this.#first('deferUpdate')
    this.deferred = true
    return this.#response(options)
  }

  async update(options: unknown): Promise<unknown> {
    await this.#first('update')
    this.replied = true
    this.#show('source', options)
    return this.#response(options)
  }

  async showModal(_modal: unknown): Promise<void> {
    await this.#first('showModal')
    this.replied = true
  }

  async editReply(options: unknown): Promise<unknown> {
    if (!this.deferred && !this.replied) throw new Error('InteractionNotReplied')
    this.log.push('editReply')
    if (this.refuseEditWith !== undefined) throw this.refuseEditWith
    const { message } = (typeof options === 'object' ? options : {}) as { message?: string }
    const id = message ?? this.#ownId
    const before = this.shown.get(id)
    if (before === undefined && this.message === null) throw new Error('10008: unknown message')
    this.shown.set(id, { ...contentOf(options), ephemeral: before?.ephemeral ?? false })
    this.replied = true
    return { id }
  }

  async deleteReply(id = '@original'): Promise<void> {
    this.log.push('deleteReply')
    if (!this.shown.delete(id)) throw new Error('10008: unknown message')
  }

  async followUp(options: unknown): Promise<unknown> {
    if (!this.deferred && !this.replied) throw new Error('InteractionNotReplied')
    this.log.push('followUp')
    if (this.refuseEditWith !== undefined) throw this.refuseEditWith
    this.replied = true
    const original = this.shown.get('@original')
    // At Discord the first follow-up after a deferral becomes the answer, and as private as the deferral was.
    if (original !== undefined && original.content === undefined) {
      this.shown.set('@original', { ...contentOf(options), ephemeral: original.ephemeral })
      return { id: '@original' }
    }
    const id = `m${++this.#last}`
    this.#show(id, options)
    return { id }
  }

  async fetchReply(id = this.#ownId): Promise<unknown> {
    this.log.push('fetchReply')
    return { id }
  }

  get #ownId(): string {
    return this.message === null ? '@original' : 'source'
  }

  /** What discord.js gives for a first answer: a handle to it, or what Discord made of it for whoever asks for that. */
  #response(options: unknown): unknown {
    const { withResponse, fetchReply } = (typeof options === 'object' ? options : {}) as Record<string, unknown>
    if (withResponse === true) return { resource: { message: { id: this.#ownId } } }
    if (fetchReply === true) return this.fetchReply()
    return { edit: (answer: unknown) => this.editReply(answer), delete: () => this.deleteReply() }
  }

  get messages(): Shown[] {
    return [...this.shown.values()]
  }

  #show(id: string, options: unknown): void {
    this.shown.set(id, { ...contentOf(options), ephemeral: isPrivate(options) })
  }
}

/** Asks for suggestions, and takes one answer. */
export class FakeAutocomplete implements GatedInteraction {
  readonly id = '2'
  readonly guildId = null
  readonly user = { id: '53908099506183680' }
  readonly locale = 'en-US'
  readonly commandName = 'translate'
  responded = false
  readonly answers: unknown[] = []

  async respond(options: readonly unknown[]): Promise<void> {
    if (this.responded) throw new Error('InteractionAlreadyReplied')
    this.responded = true
    this.answers.push(options)
  }
}

function contentOf(options: unknown): { content: string } {
  return { content: typeof options === 'string' ? options : String((options as { content?: unknown }).content) }
}

function isPrivate(options: unknown): boolean {
  const { flags } = (typeof options === 'object' ? options : {}) as { flags?: unknown }
  return [flags].flat().some((flag) => flag === 'Ephemeral' || flag === 64)
}
