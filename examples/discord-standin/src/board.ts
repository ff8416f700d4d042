import type { APIMessage } from 'discord-api-types/v10'
import { buttonsOf } from './components.js'

/** A message as it stands. */
export interface Posted {
  readonly message: APIMessage
  readonly guildId: string
  /** The one member who can see it, when it is ephemeral. */
  readonly onlyFor: string | undefined
}

/** The messages that can be seen, whoever wrote them how: in a channel, or as an answer. There is one truth about each. */
export class Board {
  readonly #posted = new Map<string, Posted>()

  /** Shows a message from now on. */
  post(posted: Posted): APIMessage {
    this.#posted.set(posted.message.id, posted)
    return posted.message
  }

  /** Shows it as it is now. */
  change(message: APIMessage): void {
    const posted = this.#posted.get(message.id)
    if (posted !== undefined) this.#posted.set(message.id, { ...posted, message })
  }

  get(messageId: string): APIMessage | undefined {
    return this.#posted.get(messageId)?.message
  }

  delete(messageId: string): void {
    this.#posted.delete(messageId)
  }

  /**
   * The message with a button that is about to be pressed.
   *
   * @throws RangeError when there is no such message, or it has no such button, or that is disabled
   */
  withButton(messageId: string, customId: string): Posted {
    const posted = this.#posted.get(messageId)
    if (posted === undefined) {
      const remedy = 'take the messageId of an answer, or an id of ledger.messages; it may have been deleted'
      throw new RangeError(`There is no message ${JSON.stringify(messageId)}: ${remedy}.`)
    }
    const buttons = buttonsOf(posted.message)
    const button = buttons.find((one) => one.customId === customId)
    if (button === undefined) {
      const ids = buttons.map((one) => JSON.stringify(one.customId)).join(', ')
      const has = ids === '' ? 'none' : ids
      throw new RangeError(`Message ${messageId} has no button ${JSON.stringify(customId)} to press; it has ${has}.`)
    }
    if (button.isDisabled) throw new RangeError(`The button "${customId}" of message ${messageId} is disabled.`)
    return posted
  }
}
