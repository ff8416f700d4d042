import {
  MessageFlags,
  RESTJSONErrorCodes,
  type APIMessage,
  type RESTPostAPIChannelMessageJSONBody,
} from 'discord-api-types/v10'
import { ApiError, invalidField, unknown } from './api-error.js'
import type { Board } from './board.js'
import { checkComponents } from './components.js'
import type { LedgerKeeper } from './ledger.js'
import { message } from './payloads.js'
import type { World } from './world.js'

const maxContentLength = 2_000
const maxNonceLength = 25
/** Discord says "in the past few minutes". */
const nonceKeptForMs = 300_000

/** Refuses what is too long for Discord, what is empty, and buttons that make no sense. */
export function checkContent(body: {
  readonly content?: string | null | undefined
  readonly embeds?: readonly unknown[] | null | undefined
  readonly components?: readonly unknown[] | null | undefined
}): void {
  if ((body.content ?? '').length > maxContentLength) {
    throw invalidField('content', 'BASE_TYPE_MAX_LENGTH', `Must be ${maxContentLength} or fewer in length.`)
  }
  if (!body.content && !body.embeds?.length && !body.components?.length) {
    throw new ApiError(400, RESTJSONErrorCodes.CannotSendAnEmptyMessage, 'Cannot send an empty message')
  }
  checkComponents(body.components ?? [])
}

/** The messages that the bot creates in channels. */
export class Messages {
  readonly #world: World
  readonly #ledger: LedgerKeeper
  readonly #board: Board
  readonly #newId: () => string
  readonly #now: () => number
  /** Enforced nonces of the last minutes, oldest first. The bot is the only author here. */
  readonly #byNonce = new Map<string, { readonly at: number; readonly message: APIMessage }>()

  constructor(options: { world: World; ledger: LedgerKeeper; board: Board; newId: () => string; now: () => number }) {
    this.#world = options.world
    this.#ledger = options.ledger
    this.#board = options.board
    this.#newId = options.newId
    this.#now = options.now
  }

  /**
   * Creates a message, or gives back the first one of the same enforced nonce.
   *
   * @throws {@link ApiError} 10003 unknown channel, 50035 too long, 50006 empty
   */
  create(channelId: string, body: RESTPostAPIChannelMessageJSONBody): APIMessage {
    const guild = this.#world.guildByChannelId.get(channelId)
    if (guild === undefined) throw unknown(RESTJSONErrorCodes.UnknownChannel, 'Channel')
    checkContent(body)
    const at = this.#now()
    const nonce = body.nonce === undefined ? undefined : String(body.nonce)
    if (nonce !== undefined && nonce.length > maxNonceLength) {
      throw invalidField('nonce', 'NONCE_TYPE_TOO_LONG', `Must be ${maxNonceLength} or fewer in length.`)
    }
    const isEnforced = nonce !== undefined && body.enforce_nonce === true
    const first = isEnforced ? this.#recent(nonce, at) : undefined
    if (first !== undefined) {
      this.#ledger.repeatedNonce({ at, nonce: nonce ?? '', messageId: first.id, channelId: first.channel_id })
      return first
    }
    const flags = (body.flags ?? 0) & MessageFlags.SuppressEmbeds
    const created = message(this.#world, { id: this.#newId(), channelId, at, body, flags })
    this.#board.post({ message: created, guildId: guild.id, onlyFor: undefined })
    if (isEnforced) this.#byNonce.set(nonce, { at, message: created })
    const { id, content } = created
    this.#ledger.message({ id, channelId, guildId: guild.id, content, ...(nonce === undefined ? {} : { nonce }), at })
    return created
  }

  #recent(nonce: string, at: number): APIMessage | undefined {
    for (const [old, { at: createdAt }] of this.#byNonce) {
      if (at - createdAt <= nonceKeptForMs) break
      this.#byNonce.delete(old)
    }
    return this.#byNonce.get(nonce)?.message
  }
}
