import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import { GatewayDispatchEvents } from 'discord-api-types/v10'
import { Board } from './board.js'
import { Commands } from './commands.js'
import type { Answer, AskRequest, CommandRequest, LedgerQuery, PressRequest, Standin, TrafficPlan } from './contract.js'
import { controlPath, handleControl } from './control.js'
import { Faults, type Fault } from './faults.js'
import { Gateway } from './gateway.js'
import { Interactions } from './interactions.js'
import { LedgerKeeper, type CommandOptions, type EventRecord, type Ledger } from './ledger.js'
import { Messages } from './messages.js'
import { settle, type StandinOptions } from './options.js'
import { buttonInteraction, commandInteraction } from './payloads.js'
import { pick, seededRandom, type Random } from './random.js'
import { RateLimits } from './rate-limits.js'
import { Rest } from './rest.js'
import { createRoutes } from './routes.js'
import { SnowflakeSource } from './snowflake.js'
import { Traffic } from './traffic.js'
import { createWorld, type StandinGuild, type World } from './world.js'

const askTimeoutMs = 15_000
/** Longer than a client keeps an idle connection, so that it never calls on one which is just being closed. */
const keepAliveMs = 60_000

/** Options that only make sense within one process. */
export interface InProcessOptions extends StandinOptions {
  /** Epoch ms that never go back, by which deadlines are judged and everything is dated. */
  readonly now?: () => number
}

/** A loopback Discord in this process; `startStandin` runs one in a process of its own. */
export class DiscordStandin implements Standin {
  readonly #world: World
  readonly #now: () => number
  readonly #port: number
  readonly #ackDeadlineMs: number
  readonly #random: Random
  readonly #ids = new SnowflakeSource()
  readonly #ledger: LedgerKeeper
  readonly #faults = new Faults()
  readonly #board = new Board()
  readonly #gateway: Gateway
  readonly #interactions: Interactions
  readonly #commands: Commands
  readonly #rest: Rest
  readonly #traffic: Traffic
  readonly #server: Server
  /** Those who wait for an answer, by event id. */
  readonly #waiting = new Map<string, () => void>()
  #faultCount = 0
  #api: string | undefined

  /** @throws RangeError when a number makes no sense */
  constructor(options: InProcessOptions = {}) {
    const { now = monotonicNow } = options
    const { guilds, seed, ackDeadlineMs, heartbeatIntervalMs, port } = settle(options)
    const newId = (): string => this.#ids.next(now())
    const world = createWorld(guilds, seed)
    const ledger = new LedgerKeeper(now)
    const faults = this.#faults
    const board = this.#board
    this.#now = now
    this.#port = port
    this.#ackDeadlineMs = ackDeadlineMs
    this.#world = world
    this.#ledger = ledger
    this.#random = seededRandom(seed + 1)
    this.#gateway = new Gateway({ world, ledger, faults, heartbeatIntervalMs, now })
    const onAnswer = (event: EventRecord): void => this.#waiting.get(event.id)?.()
    this.#interactions = new Interactions({ world, board, ackDeadlineMs, newId, now, onAnswer })
    this.#commands = new Commands(world, newId)
    const routes = createRoutes({
      world,
      gateway: this.#gateway,
      interactions: this.#interactions,
      messages: new Messages({ world, ledger, board, newId, now }),
      commands: this.#commands,
      rateLimits: new RateLimits(now),
    })
    this.#rest = new Rest({ token: world.token, routes, faults, ledger, now })
    const run = (request: CommandRequest): void => void this.#run(request)
    this.#traffic = new Traffic({ guilds: world.guilds, random: seededRandom(seed + 2), now, run })
    this.#server = createServer((request, response) => this.#handle(request, response))
    this.#server.keepAliveTimeout = keepAliveMs
  }

  get token(): string {
    return this.#world.token
  }

  /** @throws Error before {@link DiscordStandin.start} */
  get api(): string {
    if (this.#api === undefined) throw new Error('The stand-in has no address yet; await start() first.')
    return this.#api
  }

  get guilds(): readonly StandinGuild[] {
    return this.#world.guilds
  }

  /** Listens on 127.0.0.1. */
  async start(): Promise<void> {
    if (this.#api !== undefined) return
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    const { port } = this.#server.address() as AddressInfo
    this.#api = `http://127.0.0.1:${port}/api`
    this.#gateway.attach(this.#server, `ws://127.0.0.1:${port}/gateway`)
  }

  async stop(): Promise<void> {
    this.#traffic.stop()
    this.#gateway.stop()
    for (const giveUp of this.#waiting.values()) giveUp()
    if (!this.#server.listening) return
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async command(request: CommandRequest): Promise<{ id: string }> {
    return { id: this.#run(request).id }
  }

  async press(request: PressRequest): Promise<{ id: string }> {
    return { id: this.#press(request).id }
  }

  async ask(request: AskRequest): Promise<Answer> {
    const event = 'messageId' in request ? this.#press(request) : this.#run(request)
    await this.#answered(event, request.timeoutMs ?? askTimeoutMs)
    return {
      id: event.id,
      answered: event.answeredAt !== undefined,
      content: event.answer ?? null,
      messageId: event.messageId ?? null,
      ephemeral: event.ephemeral ?? false,
      deferred: event.deferred ?? false,
      latencyMs: (event.answeredAt ?? this.#now()) - event.sentAt,
    }
  }

  async traffic(plan: TrafficPlan): Promise<void> {
    this.#traffic.start(plan)
  }

  async inject(fault: Fault): Promise<{ id: string }> {
    const id = `fault-${++this.#faultCount}`
    this.#faults.add(id, fault)
    switch (fault.kind) {
      case 'zombie':
        this.#gateway.makeZombies(id)
        break
      case 'silence':
        this.#gateway.silence(id, fault.session)
        break
      case 'reconnect':
        this.#gateway.askToReconnect()
        break
      case 'invalid-session':
        this.#gateway.invalidateSessions(fault.resumable)
        break
      case 'drop':
        this.#gateway.drop()
        break
      case 'close':
        this.#gateway.close(fault.code)
        break
      case 'refuse-gateway':
      case 'duplicate-events':
      case 'rest':
      // These are asked for when a connection, an event or a call comes.
    }
    return { id }
  }

  async clear(id?: string): Promise<void> {
    this.#faults.clear(id)
    this.#gateway.heal(id)
  }

  async ledger(query: LedgerQuery = {}): Promise<Ledger> {
    return this.#ledger.read(this.#gateway.connected, query.since)
  }

  #run(request: CommandRequest): EventRecord {
    const guild = this.#guild(request.guildId)
    const userId = request.userId ?? pick(this.#random, guild.memberIds)
    checkCommand(request.name)
    checkUser(userId)
    const sentAt = this.#now()
    const id = this.#ids.next(sentAt)
    const options = fillIn(request.options ?? {}, id)
    const event = this.#ledger.event({
      id,
      guildId: guild.id,
      channelId: guild.channelId,
      userId,
      command: request.name,
      options,
      sentAt,
    })
    const { token } = this.#interactions.open(event)
    const commandId = this.#commands.idOf(guild.id, request.name.split(' ')[0] ?? '')
    const command = { id, token, userId, name: request.name, commandId, options }
    return this.#send(event, commandInteraction(this.#world, guild, command))
  }

  #press({ messageId, customId, userId: named }: PressRequest): EventRecord {
    const { message, guildId, onlyFor } = this.#board.withButton(messageId, customId)
    const guild = this.#guild(guildId)
    const userId = named ?? onlyFor ?? pick(this.#random, guild.memberIds)
    checkUser(userId)
    if (onlyFor !== undefined && userId !== onlyFor) {
      throw new RangeError(`Message ${messageId} is ephemeral: user ${onlyFor} alone sees it, not ${userId}.`)
    }
    const sentAt = this.#now()
    const id = this.#ids.next(sentAt)
    const press = { messageId, customId }
    const event = this.#ledger.event({ id, guildId, channelId: guild.channelId, userId, press, options: {}, sentAt })
    const { token } = this.#interactions.open(event)
    return this.#send(event, buttonInteraction(this.#world, guild, { id, token, userId, message, customId }))
  }

  #send(event: EventRecord, interaction: unknown): EventRecord {
    this.#gateway.dispatch(GatewayDispatchEvents.InteractionCreate, interaction, event.guildId, () =>
      this.#ledger.delivered(event),
    )
    return event
  }

  #guild(id: string | undefined): StandinGuild {
    if (id === undefined) return pick(this.#random, this.#world.guilds)
    const guild = this.#world.guildById.get(id)
    if (guild === undefined)
      throw new RangeError(`There is no guild ${JSON.stringify(id)}; take one of standin.guilds.`)
    return guild
  }

  /** Settles at the answer, when nothing was acknowledged in time, or when the timeout has passed. */
  #answered(event: EventRecord, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(deadline)
        clearTimeout(timeout)
        this.#waiting.delete(event.id)
        resolve()
      }
      // A timer may fire a moment early; by then nothing that was in time can still come.
      const deadline = setTimeout(() => event.acknowledgedAt === undefined && done(), this.#ackDeadlineMs + 2)
      const timeout = setTimeout(done, timeoutMs)
      this.#waiting.set(event.id, done)
    })
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const isControl = request.url?.startsWith(controlPath) ?? false
    const handled = isControl ? handleControl(this, request, response) : this.#rest.handle(request, response)
    // The caller broke off, or asked for no address that there could be.
    handled.catch(() => response.destroy())
  }
}

/** Epoch ms that follow no correction of the wall clock. */
function monotonicNow(): number {
  return performance.timeOrigin + performance.now()
}

function fillIn(options: CommandOptions, id: string): CommandOptions {
  const filled = Object.entries(options).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.replaceAll('{id}', id) : value,
  ])
  return Object.fromEntries(filled) as CommandOptions
}

function checkCommand(name: unknown): void {
  if (typeof name !== 'string' || !/^\S+( \S+){0,2}$/.test(name)) {
    throw new TypeError(`A command needs a name such as "remind" or "remind add", not ${JSON.stringify(name)}.`)
  }
}

function checkUser(userId: string): void {
  if (!/^\d{17,20}$/.test(userId)) throw new TypeError(`A user id is a snowflake, not ${JSON.stringify(userId)}.`)
}
