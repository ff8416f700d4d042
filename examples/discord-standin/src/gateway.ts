import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  GatewayCloseCodes,
  GatewayDispatchEvents,
  GatewayOpcodes,
  type GatewayIdentifyData,
  type GatewayResumeData,
  type GatewaySendPayload,
} from 'discord-api-types/v10'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import type { Faults } from './faults.js'
import type { LedgerKeeper } from './ledger.js'
import { guildCreate, ready } from './payloads.js'
import { Session, frame } from './session.js'
import type { StandinGuild, World } from './world.js'

/** How long Discord keeps a session that has no connection. */
const resumableForMs = 180_000
const identifiesPerDay = 1_000
const dayMs = 86_400_000
/** With these a client says goodbye: its session is over. */
const goodbyes: ReadonlySet<number> = new Set([1_000, 1_001])
/** After these from Discord a client has to identify anew; after any other it may resume. */
const sessionEnds: ReadonlySet<number> = new Set([
  GatewayCloseCodes.AuthenticationFailed,
  GatewayCloseCodes.InvalidSeq,
  GatewayCloseCodes.SessionTimedOut,
  GatewayCloseCodes.InvalidShard,
  GatewayCloseCodes.ShardingRequired,
  GatewayCloseCodes.InvalidAPIVersion,
  GatewayCloseCodes.InvalidIntents,
  GatewayCloseCodes.DisallowedIntents,
])

/** One socket, from HELLO to its close. */
interface Connection {
  readonly socket: WebSocket
  session: Session | undefined
  /** The last sequence number written here. */
  sentSeq: number
  /** The faults that keep heartbeats unacknowledged, and those that hold events back. */
  readonly zombieBy: Set<string>
  readonly silencedBy: Set<string>
}

/** What the gateway works with. */
export interface GatewayOptions {
  readonly world: World
  readonly ledger: LedgerKeeper
  readonly faults: Faults
  readonly heartbeatIntervalMs: number
  readonly now: () => number
}

/**
 * The gateway, version 10, in JSON without compression. Its one invariant: a session's dispatches are numbered
 * without a gap, and each connection writes them in that order, from wherever the client says it stopped.
 */
export class Gateway {
  readonly #options: GatewayOptions
  readonly #server = new WebSocketServer({ noServer: true })
  readonly #connections = new Set<Connection>()
  readonly #sessions = new Map<string, Session>()
  /** Each guild as JSON, since every login needs all of them. */
  readonly #guildJson = new Map<string, string>()
  #url = ''
  #identifiesLeft = identifiesPerDay
  #identifiesResetAt: number

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#identifiesResetAt = options.now() + dayMs
  }

  /** Takes over the WebSocket upgrades of a server. */
  attach(server: Server, url: string): void {
    this.#url = url
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    )
  }

  /** Where it is reached. */
  get url(): string {
    return this.#url
  }

  /** Sessions that have a connection. */
  get connected(): number {
    return [...this.#connections].filter((connection) => connection.session !== undefined).length
  }

  /** What GET /gateway/bot tells of the identifies left today. */
  get sessionStartLimit(): { total: number; remaining: number; reset_after: number; max_concurrency: number } {
    const now = this.#options.now()
    if (now >= this.#identifiesResetAt) {
      this.#identifiesLeft = identifiesPerDay
      this.#identifiesResetAt = now + dayMs
    }
    return {
      total: identifiesPerDay,
      remaining: this.#identifiesLeft,
      reset_after: Math.ceil(this.#identifiesResetAt - now),
      max_concurrency: 1,
    }
  }

  /**
   * Gives an event to every session whose shard has the guild; those without a connection keep it for RESUME.
   *
   * @param onSent - called for each time it is written to a socket
   */
  dispatch(type: GatewayDispatchEvents, data: unknown, guildId: string, onSent: () => void): void {
    this.#forgetOldSessions()
    const json = JSON.stringify(data)
    const { copies } = this.#options.faults
    for (const session of this.#sessions.values()) {
      if (!session.has(guildId)) continue
      for (let copy = 0; copy < copies; copy++) session.append(type, json, onSent)
    }
    for (const connection of this.#connections) this.#flush(connection)
  }

  /** Op 7 on every connection. */
  askToReconnect(): void {
    for (const { socket } of this.#connections) send(socket, GatewayOpcodes.Reconnect, null)
  }

  /** Op 9 for every session; when not resumable, also those without a connection are over. */
  invalidateSessions(resumable: boolean): void {
    for (const connection of this.#connections) {
      if (this.#detach(connection) === undefined) continue
      send(connection.socket, GatewayOpcodes.InvalidSession, resumable)
    }
    if (!resumable) this.#sessions.clear()
  }

  /** Breaks every connection without a close frame. */
  drop(): void {
    for (const { socket } of this.#connections) socket.terminate()
  }

  /** Closes every connection with this code. */
  close(code: number): void {
    for (const connection of this.#connections) {
      const session = this.#detach(connection)
      if (session !== undefined && sessionEnds.has(code)) this.#sessions.delete(session.id)
      connection.socket.close(code)
    }
  }

  /** Stops acknowledging heartbeats on the open connections, until {@link Gateway.heal}. */
  makeZombies(faultId: string): void {
    for (const connection of this.#connections) connection.zombieBy.add(faultId)
  }

  /**
   * Holds events back on the open connections, until {@link Gateway.heal}.
   *
   * @param sessionNumber - only on that of the session which identified as the so manieth
   */
  silence(faultId: string, sessionNumber?: number): void {
    for (const connection of this.#connections) {
      if (sessionNumber === undefined || connection.session?.number === sessionNumber)
        connection.silencedBy.add(faultId)
    }
  }

  /** Ends one fault, or all of them, on the connections that have it. */
  heal(faultId?: string): void {
    for (const connection of this.#connections) {
      for (const faultIds of [connection.zombieBy, connection.silencedBy]) {
        if (faultId === undefined) faultIds.clear()
        else faultIds.delete(faultId)
      }
      this.#flush(connection)
    }
  }

  /** Breaks every connection and takes no more. */
  stop(): void {
    for (const socket of this.#server.clients) socket.terminate()
    this.#server.close()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // The error of a broken socket adds nothing to its close, and unheard it would end the process.
    socket.on('error', () => {})
    if (this.#options.faults.refusesGateway) {
      this.#options.ledger.refusedConnections++
      const refusal = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
      socket.end(refusal, () => socket.destroy())
      return
    }
    const { searchParams } = new URL(request.url ?? '/', 'ws://localhost')
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, searchParams))
  }

  #open(socket: WebSocket, query: URLSearchParams): void {
    socket.on('error', () => {})
    if (query.get('v') !== '10') return socket.close(GatewayCloseCodes.InvalidAPIVersion)
    if (query.get('encoding') !== 'json' || query.has('compress')) {
      return socket.close(GatewayCloseCodes.DecodeError, 'The stand-in speaks JSON without compression.')
    }
    const faults = { zombieBy: new Set<string>(), silencedBy: new Set<string>() }
    const connection: Connection = { socket, session: undefined, sentSeq: 0, ...faults }
    this.#connections.add(connection)
    socket.on('message', (raw) => this.#receive(connection, raw))
    socket.on('close', (code) => this.#closed(connection, code))
    send(socket, GatewayOpcodes.Hello, { heartbeat_interval: this.#options.heartbeatIntervalMs })
  }

  #closed(connection: Connection, code: number): void {
    this.#connections.delete(connection)
    this.#options.ledger.closed(code)
    const session = this.#detach(connection)
    if (session !== undefined && goodbyes.has(code)) this.#sessions.delete(session.id)
  }

  #receive(connection: Connection, raw: RawData): void {
    const payload = parse(raw)
    switch (payload?.op) {
      case GatewayOpcodes.Heartbeat:
        if (connection.zombieBy.size === 0) send(connection.socket, GatewayOpcodes.HeartbeatAck, null)
        return
      case GatewayOpcodes.Identify:
        return this.#identify(connection, payload.d)
      case GatewayOpcodes.Resume:
        return this.#resume(connection, payload.d)
      case GatewayOpcodes.PresenceUpdate:
      case GatewayOpcodes.VoiceStateUpdate:
      case GatewayOpcodes.RequestGuildMembers:
      case GatewayOpcodes.RequestSoundboardSounds:
      case GatewayOpcodes.RequestChannelInfo:
        if (connection.session === undefined) connection.socket.close(GatewayCloseCodes.NotAuthenticated)
        return
      case undefined:
        return connection.socket.close(GatewayCloseCodes.DecodeError)
      default:
        return connection.socket.close(GatewayCloseCodes.UnknownOpcode)
    }
  }

  #identify(connection: Connection, identify: GatewayIdentifyData): void {
    const { world, ledger } = this.#options
    if (connection.session !== undefined) return connection.socket.close(GatewayCloseCodes.AlreadyAuthenticated)
    if (identify.token !== world.token || this.sessionStartLimit.remaining === 0) {
      return connection.socket.close(GatewayCloseCodes.AuthenticationFailed, 'Authentication failed.')
    }
    const [shardId, shardCount] = identify.shard ?? [0, 1]
    if (!(shardId >= 0 && shardId < shardCount)) return connection.socket.close(GatewayCloseCodes.InvalidShard)
    ledger.identifies++
    this.#identifiesLeft--
    const session = new Session([shardId, shardCount], ledger.identifies)
    this.#sessions.set(session.id, session)
    const guilds = world.guilds.filter((guild) => session.has(guild.id))
    const greeting = ready(world, guilds, { id: session.id, shard: session.shard, url: this.#url })
    session.append(GatewayDispatchEvents.Ready, JSON.stringify(greeting))
    for (const guild of guilds) session.append(GatewayDispatchEvents.GuildCreate, this.#guild(guild))
    this.#attach(connection, session, 0)
  }

  #resume(connection: Connection, resume: GatewayResumeData): void {
    const { world, ledger } = this.#options
    if (connection.session !== undefined) return connection.socket.close(GatewayCloseCodes.AlreadyAuthenticated)
    if (resume.token !== world.token) {
      return connection.socket.close(GatewayCloseCodes.AuthenticationFailed, 'Authentication failed.')
    }
    this.#forgetOldSessions()
    const session = this.#sessions.get(resume.session_id)
    if (session === undefined || !session.canReplayAfter(resume.seq)) {
      ledger.refusedResumes++
      send(connection.socket, GatewayOpcodes.InvalidSession, false)
      return
    }
    if (resume.seq > session.seq) return connection.socket.close(GatewayCloseCodes.InvalidSeq)
    ledger.resumes++
    for (const other of this.#connections) {
      // The client has given the old connection up, even if nothing here has noticed.
      if (other.session !== session) continue
      this.#detach(other)
      other.socket.terminate()
    }
    session.append(GatewayDispatchEvents.Resumed, 'null')
    this.#attach(connection, session, resume.seq)
  }

  #attach(connection: Connection, session: Session, seenSeq: number): void {
    connection.session = session
    connection.sentSeq = seenSeq
    session.detachedAt = undefined
    this.#flush(connection)
  }

  #detach(connection: Connection): Session | undefined {
    const { session } = connection
    connection.session = undefined
    if (session !== undefined) session.detachedAt = this.#options.now()
    return session
  }

  /** Writes what this connection has not written yet. Replay and live delivery are the same thing. */
  #flush(connection: Connection): void {
    const { socket, session } = connection
    if (session === undefined || connection.silencedBy.size > 0) return
    if (!session.canReplayAfter(connection.sentSeq)) return this.#invalidate(connection, session)
    for (const dispatch of session.after(connection.sentSeq)) {
      if (socket.readyState !== socket.OPEN) return
      socket.send(frame(dispatch))
      connection.sentSeq = dispatch.seq
      dispatch.onSent?.()
    }
  }

  /** It was silenced for so long that what it missed is no longer kept. */
  #invalidate(connection: Connection, session: Session): void {
    this.#detach(connection)
    this.#sessions.delete(session.id)
    send(connection.socket, GatewayOpcodes.InvalidSession, false)
  }

  #forgetOldSessions(): void {
    const now = this.#options.now()
    for (const { id, detachedAt } of this.#sessions.values()) {
      if (detachedAt !== undefined && now - detachedAt > resumableForMs) this.#sessions.delete(id)
    }
  }

  #guild(guild: StandinGuild): string {
    const known = this.#guildJson.get(guild.id)
    if (known !== undefined) return known
    const json = JSON.stringify(guildCreate(this.#options.world, guild))
    this.#guildJson.set(guild.id, json)
    return json
  }
}

function send(socket: WebSocket, op: GatewayOpcodes, d: unknown): void {
  socket.send(JSON.stringify({ op, d, s: null, t: null }))
}

/** Undefined when it is not a payload of this API. */
function parse(raw: RawData): GatewaySendPayload | undefined {
  try {
    const payload = JSON.parse((raw as Buffer).toString('utf8')) as Partial<GatewaySendPayload> | null
    const needsData = payload?.op === GatewayOpcodes.Identify || payload?.op === GatewayOpcodes.Resume
    if (typeof payload?.op !== 'number' || (needsData && typeof (payload.d ?? undefined) !== 'object')) return undefined
    return payload as GatewaySendPayload
  } catch {
    return undefined
  }
}
