import { randomBytes } from 'node:crypto'
import {
  InteractionResponseType,
  InteractionType,
  MessageFlags,
  RESTJSONErrorCodes,
  type APIEmbed,
  type APIInteractionResponse,
  type APIInteractionResponseCallbackData,
  type APIMessage,
  type APIMessageTopLevelComponent,
  type RESTPatchAPIWebhookWithTokenMessageJSONBody,
  type RESTPostAPIWebhookWithTokenJSONBody,
} from 'discord-api-types/v10'
import { ApiError, invalidField, unknown } from './api-error.js'
import type { Board } from './board.js'
import type { EventRecord, LedgerAttempt } from './ledger.js'
import { checkContent } from './messages.js'
import { answered, message } from './payloads.js'
import type { World } from './world.js'

/** How long an interaction's token can edit and follow up. */
const tokenLifeMs = 900_000

interface Interaction {
  readonly event: EventRecord
  readonly token: string
  /** How it was acknowledged. */
  state: 'pending' | 'deferred' | 'answered'
  /** `@original` and the follow-ups. */
  readonly messageIds: Set<string>
  /** The first answer; of a press that changes the message with the button, that one. */
  originalId: string | undefined
}

/** What the rules work with. */
export interface InteractionsOptions {
  readonly world: World
  readonly board: Board
  readonly ackDeadlineMs: number
  readonly newId: () => string
  readonly now: () => number
  /** An answer has become readable. */
  readonly onAnswer: (event: EventRecord) => void
}

/** The rules of answering a command or a press: once, in time, and afterwards by the token for fifteen minutes. */
export class Interactions {
  readonly #options: InteractionsOptions
  readonly #byId = new Map<string, Interaction>()
  readonly #byToken = new Map<string, Interaction>()

  constructor(options: InteractionsOptions) {
    this.#options = options
  }

  /** Expects an answer to this event, from now on. */
  open(event: EventRecord): { token: string } {
    const token = Buffer.from(`interaction:${event.id}:${randomBytes(24).toString('hex')}`).toString('base64url')
    const interaction: Interaction = { event, token, state: 'pending', messageIds: new Set(), originalId: undefined }
    this.#byId.set(event.id, interaction)
    this.#byToken.set(token, interaction)
    return { token }
  }

  /**
   * The first answer.
   *
   * @returns what was answered, and the message that was created or changed, if one was
   * @throws {@link ApiError} 10062 when unknown or too late, 40060 when there was one before, 50035 when malformed
   */
  respond(
    id: string,
    token: string,
    response: APIInteractionResponse,
    status: 200 | 204,
  ): { type: InteractionType; message: APIMessage | undefined } {
    const interaction = this.#byId.get(id)
    if (interaction?.token !== token) throw unknown(RESTJSONErrorCodes.UnknownInteraction, 'interaction')
    const { event } = interaction
    const at = this.#options.now()
    const attempt = { at, type: response.type ?? 0, ...told(response) }
    try {
      const message = this.#accept(interaction, response, at)
      event.attempts.push({ ...attempt, status })
      const { ApplicationCommand, MessageComponent } = InteractionType
      return { type: event.press === undefined ? ApplicationCommand : MessageComponent, message }
    } catch (error) {
      if (error instanceof ApiError) event.attempts.push({ ...attempt, status: error.status, code: error.code })
      throw error
    }
  }

  /** Creates a further message; after a deferral the first one is the answer, and takes the place of one that shows, as at Discord. */
  followUp(token: string, body: RESTPostAPIWebhookWithTokenJSONBody): APIMessage {
    const interaction = this.#usable(token)
    checkContent(body)
    const { state, originalId, event } = interaction
    if (isLoading(this.#options.board.get(originalId ?? ''))) return this.edit(token, '@original', body)
    const created = this.#create(interaction, body)
    const at = this.#options.now()
    const { id, content } = created
    if (state === 'deferred') this.#answer(interaction, created, at)
    else event.followUps.push({ id, at, content, ephemeral: isEphemeral(created) })
    return created
  }

  /** Changes a message; done to `@original` after a deferral, it is the answer. */
  edit(token: string, messageId: string, body: RESTPatchAPIWebhookWithTokenMessageJSONBody): APIMessage {
    const interaction = this.#usable(token)
    const after = this.#change(this.message(token, messageId), body)
    const answerId = interaction.event.messageId ?? interaction.originalId
    if (after.id === answerId) this.#answer(interaction, after, this.#options.now())
    return after
  }

  /**
   * One message of this interaction.
   *
   * @param messageId - its id, or `@original`
   */
  message(token: string, messageId: string): APIMessage {
    const { messageIds, originalId } = this.#usable(token)
    const id = messageId === '@original' ? (originalId ?? '') : messageId
    const found = messageIds.has(id) ? this.#options.board.get(id) : undefined
    if (found === undefined) throw unknown(RESTJSONErrorCodes.UnknownMessage, 'Message')
    return found
  }

  /** Deletes a message. */
  delete(token: string, messageId: string): void {
    this.#options.board.delete(this.message(token, messageId).id)
  }

  #accept(interaction: Interaction, response: APIInteractionResponse, at: number): APIMessage | undefined {
    const { event } = interaction
    if (interaction.state !== 'pending') {
      const code = RESTJSONErrorCodes.InteractionHasAlreadyBeenAcknowledged
      throw new ApiError(400, code, 'Interaction has already been acknowledged.')
    }
    if (at - event.sentAt > this.#options.ackDeadlineMs) {
      throw unknown(RESTJSONErrorCodes.UnknownInteraction, 'interaction')
    }
    switch (response.type) {
      case InteractionResponseType.ChannelMessageWithSource: {
        checkContent(response.data)
        interaction.state = 'answered'
        event.acknowledgedAt = at
        const created = this.#create(interaction, response.data)
        this.#answer(interaction, created, at)
        return created
      }
      case InteractionResponseType.DeferredChannelMessageWithSource:
        this.#defer(interaction, at)
        return this.#create(interaction, { flags: (response.data?.flags ?? 0) | MessageFlags.Loading })
      case InteractionResponseType.UpdateMessage: {
        const changed = this.#change(this.#pressed(event), response.data ?? {})
        interaction.state = 'answered'
        event.acknowledgedAt = at
        this.#adopt(interaction, changed)
        this.#answer(interaction, changed, at)
        return changed
      }
      case InteractionResponseType.DeferredMessageUpdate:
        this.#adopt(interaction, this.#pressed(event))
        this.#defer(interaction, at)
        return undefined
      case InteractionResponseType.Modal:
        interaction.state = 'answered'
        event.acknowledgedAt = at
        return undefined
      case InteractionResponseType.Pong:
      case InteractionResponseType.ApplicationCommandAutocompleteResult:
      case InteractionResponseType.PremiumRequired:
      case InteractionResponseType.LaunchActivity:
      default:
        throw wrongType(event)
    }
  }

  #defer(interaction: Interaction, at: number): void {
    interaction.state = 'deferred'
    interaction.event.acknowledgedAt = at
    interaction.event.deferred = true
  }

  /** The message with the button. */
  #pressed(event: EventRecord): APIMessage {
    if (event.press === undefined) throw wrongType(event)
    const pressed = this.#options.board.get(event.press.messageId)
    if (pressed === undefined) throw unknown(RESTJSONErrorCodes.UnknownMessage, 'Message')
    return pressed
  }

  /** The token can change this message from now on. */
  #adopt(interaction: Interaction, { id }: APIMessage): void {
    interaction.originalId ??= id
    interaction.messageIds.add(id)
  }

  #change(before: APIMessage, body: RESTPatchAPIWebhookWithTokenMessageJSONBody): APIMessage {
    const after: APIMessage = {
      ...before,
      content: body.content === undefined ? before.content : (body.content ?? ''),
      embeds: body.embeds === undefined ? before.embeds : ((body.embeds ?? []) as APIEmbed[]),
      components: (body.components ?? before.components ?? []) as APIMessageTopLevelComponent[],
      flags: (before.flags ?? 0) & ~MessageFlags.Loading,
      edited_timestamp: new Date(this.#options.now()).toISOString(),
    }
    checkContent(after)
    this.#options.board.change(after)
    return after
  }

  /** The first message becomes `@original`. */
  #create(interaction: Interaction, body: APIInteractionResponseCallbackData): APIMessage {
    const kept = MessageFlags.Ephemeral | MessageFlags.Loading | MessageFlags.SuppressEmbeds
    const { id, guildId, channelId, userId, press } = interaction.event
    const created = message(this.#options.world, {
      id: this.#options.newId(),
      channelId,
      at: this.#options.now(),
      body: { content: body.content, embeds: body.embeds, components: body.components },
      flags: (body.flags ?? 0) & kept,
      answers: answered(guildId, { id, userId, pressedId: press?.messageId }),
    })
    this.#adopt(interaction, created)
    const onlyFor = isEphemeral(created) ? userId : undefined
    return this.#options.board.post({ message: created, guildId, onlyFor })
  }

  #answer(interaction: Interaction, answer: APIMessage, at: number): void {
    const { event } = interaction
    interaction.state = 'answered'
    event.answer = answer.content
    event.messageId = answer.id
    event.ephemeral = isEphemeral(answer)
    if (event.answeredAt !== undefined) return
    event.answeredAt = at
    this.#options.onAnswer(event)
  }

  /** The interaction of a token that can be used: acknowledged, and not older than fifteen minutes. */
  #usable(token: string): Interaction {
    const interaction = this.#byToken.get(token)
    if (interaction === undefined || interaction.state === 'pending') {
      throw unknown(RESTJSONErrorCodes.UnknownWebhook, 'Webhook')
    }
    if (this.#options.now() - interaction.event.sentAt > tokenLifeMs) {
      throw new ApiError(401, RESTJSONErrorCodes.InvalidWebhookToken, 'Invalid Webhook Token')
    }
    return interaction
  }
}

function isEphemeral(message: { readonly flags?: number | undefined }): boolean {
  return ((message.flags ?? 0) & MessageFlags.Ephemeral) !== 0
}

/** A deferral that the member sees, which is not followed yet. */
function isLoading(message: APIMessage | undefined): boolean {
  return ((message?.flags ?? 0) & MessageFlags.Loading) !== 0
}

function wrongType({ press }: EventRecord): ApiError {
  const rule =
    press === undefined ? 'A command is answered with type 4, 5 or 9.' : 'A press, with type 4, 5, 6, 7 or 9.'
  return invalidField('type', 'BASE_TYPE_CHOICES', rule)
}

/** What an attempt wanted to tell the member. */
function told(response: APIInteractionResponse): Pick<LedgerAttempt, 'content' | 'ephemeral'> {
  if (response.type === InteractionResponseType.ChannelMessageWithSource) {
    return { content: response.data.content ?? '', ephemeral: isEphemeral(response.data) }
  }
  if (response.type === InteractionResponseType.DeferredChannelMessageWithSource) {
    return { ephemeral: isEphemeral(response.data ?? {}) }
  }
  if (response.type === InteractionResponseType.UpdateMessage) {
    const content = response.data?.content
    return content === undefined ? {} : { content }
  }
  return {}
}
