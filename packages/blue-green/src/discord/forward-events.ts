import { requireMethods } from '../checked-options.js'
import { systemClock } from '../system-clock.js'
import { AnswerWindow } from './answer-window.js'
import type { AnyDiscordEvent } from './discord-event.js'

/** A client of discord.js, or anything that calls listeners by the name of an event. */
export interface EventSource {
  /** Calls the listener on each such event. */
  on(name: string, listener: (...args: unknown[]) => void): unknown
  /** Takes the listener off again. */
  off(name: string, listener: (...args: unknown[]) => void): unknown
}

/** A `BlueGreen`, a `GaplessRestart`, or anything that takes one event after the other. */
export interface EventTaker<Event> {
  /** Settles when the event is handled. */
  handle(event: Event): Promise<unknown>
}

/** How to hand events on. */
export interface ForwardOptions<Event> {
  /** Called with what a handler threw, for nobody waits for it. Must not throw. */
  readonly onError: (error: unknown, event: Event) => void
  /** Measures how long interactions can be answered; one of its own unless given. */
  readonly answers?: AnswerWindow | undefined
}

/**
 * Hands the events of a discord.js client on, each under its name, so that one bot takes them all.
 *
 * @param client - the client
 * @param names - which events
 * @param bot - who takes them
 * @param options - where errors go
 * @returns a function that takes the listeners off again
 * @throws TypeError when a parameter is not what it should be
 *
 * @example
 * ```ts
 * import { EventEmitter } from 'node:events'
 * import { contextOf, forwardEvents, type AnyDiscordEvent } from '@evenkeel/blue-green/discord'
 *
 * const client = new EventEmitter() // new Client({ intents })
 * const bot = { handle: async (event: AnyDiscordEvent) => console.log(contextOf(event).eventId) } // a GaplessRestart
 * forwardEvents(client, ['messageCreate', 'messageDelete'], bot, { onError: console.error })
 * client.emit('messageDelete', { id: '1043', guildId: null })
 * // => messageDelete:1043
 * ```
 */
export function forwardEvents<Event extends AnyDiscordEvent>(
  client: EventSource,
  names: readonly Event['name'][],
  bot: EventTaker<Event>,
  options: ForwardOptions<Event>,
): () => void {
  requireMethods('client', client, ['on', 'off'])
  requireMethods('bot', bot, ['handle'])
  requireMethods('options', options, ['onError'])
  const { onError, answers = new AnswerWindow() } = options
  const listeners = names.map((name) => {
    const listener = (...args: unknown[]): void => {
      const remainingMs = name === 'interactionCreate' ? answers.arrived(idOf(args[0])) : () => Infinity
      const event = { name, args, receivedAt: systemClock.now(), remainingMs } as unknown as Event
      bot.handle(event).catch((error: unknown) => onError(error, event))
    }
    client.on(name, listener)
    return () => client.off(name, listener)
  })
  return () => {
    for (const takeOff of listeners) takeOff()
  }
}

function idOf(interaction: unknown): string {
  return (Object(interaction) as { id: string }).id
}
