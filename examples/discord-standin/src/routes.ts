import {
  RESTJSONErrorCodes,
  type APIInteractionResponse,
  type RESTPatchAPIWebhookWithTokenMessageJSONBody,
  type RESTPostAPIApplicationCommandsJSONBody,
  type RESTPostAPIChannelMessageJSONBody,
  type RESTPostAPIInteractionCallbackWithResponseResult,
  type RESTPostAPIWebhookWithTokenJSONBody,
} from 'discord-api-types/v10'
import { unknown } from './api-error.js'
import type { Commands } from './commands.js'
import type { Gateway } from './gateway.js'
import type { Interactions } from './interactions.js'
import type { Messages } from './messages.js'
import { application, botUser, guild, textChannel } from './payloads.js'
import type { RateLimits } from './rate-limits.js'
import type { World } from './world.js'

/** A call to the API, as its route sees it. */
export interface RestCall {
  readonly query: URLSearchParams
  /** The JSON sent; trusted to have the shape that the client library gives it. */
  readonly body: unknown
}

/** How a call is answered. */
export interface RestReply {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** One method and path of the API. */
export interface Route {
  readonly method: string
  readonly pattern: RegExp
  /** Whether the bot token is asked for; interactions carry a token of their own. */
  readonly needsToken: boolean
  readonly handle: (call: RestCall, parameters: Readonly<Record<string, string>>) => RestReply
}

/** What the routes lead to. */
export interface RoutesOptions {
  readonly world: World
  readonly gateway: Gateway
  readonly interactions: Interactions
  readonly messages: Messages
  readonly commands: Commands
  readonly rateLimits: RateLimits
}

/** The part of Discord's REST API, version 10, that a bot of slash commands, buttons and messages uses. */
export function createRoutes({ world, gateway, interactions, messages, commands, rateLimits }: RoutesOptions): Route[] {
  const guildOf = (id: string) => {
    const found = world.guildById.get(id)
    if (found === undefined) throw unknown(RESTJSONErrorCodes.UnknownGuild, 'Guild')
    return found
  }
  const guildOfChannel = (id: string) => {
    const found = world.guildByChannelId.get(id)
    if (found === undefined) throw unknown(RESTJSONErrorCodes.UnknownChannel, 'Channel')
    return found
  }
  return [
    open('GET', '/gateway', () => ok({ url: gateway.url })),
    route('GET', '/gateway/bot', () =>
      ok({ url: gateway.url, shards: 1, session_start_limit: gateway.sessionStartLimit }),
    ),
    route('GET', '/users/@me', () => ok(botUser(world))),
    route('GET', '/applications/@me', () => ok(application(world))),
    route('GET', '/oauth2/applications/@me', () => ok(application(world))),
    route('GET', '/guilds/:guildId', (_, { guildId }) => ok(guild(guildOf(guildId)))),
    route('GET', '/channels/:channelId', (_, { channelId }) => ok(textChannel(guildOfChannel(channelId)))),

    route('GET', '/applications/:appId/commands', () => ok(commands.list('global'))),
    route('PUT', '/applications/:appId/commands', ({ body }) =>
      ok(commands.replace('global', body as RESTPostAPIApplicationCommandsJSONBody[])),
    ),
    route('GET', '/applications/:appId/guilds/:guildId/commands', (_, { guildId }) =>
      ok(commands.list(guildOf(guildId).id)),
    ),
    route('PUT', '/applications/:appId/guilds/:guildId/commands', ({ body }, { guildId }) =>
      ok(commands.replace(guildOf(guildId).id, body as RESTPostAPIApplicationCommandsJSONBody[])),
    ),

    route('POST', '/channels/:channelId/messages', ({ body }, { channelId }) =>
      rateLimits.limit(channelId, () => ok(messages.create(channelId, body as RESTPostAPIChannelMessageJSONBody))),
    ),

    open('POST', '/interactions/:id/:token/callback', ({ body, query }, { id, token }) => {
      const isTold = query.get('with_response') === 'true'
      const response = { data: {}, ...(body as object) } as APIInteractionResponse
      const { type, message } = interactions.respond(id, token, response, isTold ? 200 : 204)
      if (!isTold) return { status: 204 }
      const told: RESTPostAPIInteractionCallbackWithResponseResult = {
        interaction: { id, type },
        ...(message === undefined ? {} : { resource: { type: response.type, message } }),
      }
      return ok(told)
    }),
    open('POST', '/webhooks/:appId/:token', ({ body }, { token }) =>
      ok(interactions.followUp(token, body as RESTPostAPIWebhookWithTokenJSONBody)),
    ),
    open('GET', '/webhooks/:appId/:token/messages/:messageId', (_, { token, messageId }) =>
      ok(interactions.message(token, messageId)),
    ),
    open('PATCH', '/webhooks/:appId/:token/messages/:messageId', ({ body }, { token, messageId }) =>
      ok(interactions.edit(token, messageId, body as RESTPatchAPIWebhookWithTokenMessageJSONBody)),
    ),
    open('DELETE', '/webhooks/:appId/:token/messages/:messageId', (_, { token, messageId }) => {
      interactions.delete(token, messageId)
      return { status: 204 }
    }),
  ]
}

/** `'/channels/:id/messages'` has the parameter `id`. */
type Parameters<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | Parameters<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

type Handler<Path extends string> = (
  call: RestCall,
  parameters: Readonly<Record<Parameters<Path>, string>>,
) => RestReply

function route<Path extends string>(method: string, path: Path, handle: Handler<Path>): Route {
  const pattern = new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`)
  return { method, pattern, needsToken: true, handle }
}

function open<Path extends string>(method: string, path: Path, handle: Handler<Path>): Route {
  return { ...route(method, path, handle), needsToken: false }
}

function ok(body: unknown): RestReply {
  return { status: 200, body }
}
