import { SessionHandover, type GatewayDispatch, type GatewayManager, type SessionInfo } from '../discord.js'
import type { SessionHandoverOptions } from '../discord.js'
import { Fleet, type FleetProcess } from './fleet.js'

/** A platform with sessions: events are numbered, and sent again to whoever resumes. One connection at a time. */
export class FakeGateway {
  identifies = 0
  resumes = 0
  sessionId = 'none'
  /** How much longer than the others every third frame takes to be inflated, beside them. */
  inflateMs = 0
  #log: GatewayDispatch[] = []
  #connection: FakeManager | undefined

  /** An event happens. */
  send(t: string, d: unknown): void {
    const dispatch = { t, s: this.#log.length + 1, d }
    this.#log.push(dispatch)
    this.#connection?.receive(dispatch)
  }

  /** The session is over, and its connection is closed. */
  endSession(): void {
    this.sessionId = 'none'
    this.detach(this.#connection)?.closed()
  }

  drop(): void {
    this.detach(this.#connection)?.closed()
  }

  attach(manager: FakeManager, session: SessionInfo | null): boolean {
    if (session !== null && session.sessionId !== this.sessionId) return false
    this.detach(this.#connection)?.closed()
    this.#connection = manager
    if (session === null) {
      this.identifies += 1
      this.sessionId = `session-${this.identifies}`
      this.#log = []
      this.send('READY', { session_id: this.sessionId })
      return true
    }
    this.resumes += 1
    for (const dispatch of this.#log.slice(session.sequence)) manager.receive(dispatch)
    this.send('RESUMED', null)
    return true
  }

  detach(manager: FakeManager | undefined, code?: number): FakeManager | undefined {
    if (manager === undefined || manager !== this.#connection) return undefined
    this.#connection = undefined
    if (code === 1_000) this.sessionId = 'none'
    return manager
  }
}

/** A `WebSocketManager`: what it asks of the session, and when, is as in @discordjs/ws 1.2.3. */
class FakeManager implements GatewayManager {
  readonly #gateway: FakeGateway
  readonly #process: FleetProcess
  readonly #handover: SessionHandover
  readonly #listeners: ((payload: { data: GatewayDispatch; shardId: number }) => void)[] = []
  #ready: (() => void) | undefined
  /** From the moment it connects until it is closed, from either side. */
  #isConnected = false
  /** What a process that stood still finds in its socket is read in the order in which it was sent, and before anything newer. */
  #inSocket: Promise<void> = Promise.resolve()

  constructor(gateway: FakeGateway, process: FleetProcess, handover: SessionHandover) {
    this.#gateway = gateway
    this.#process = process
    this.#handover = handover
  }

  on(_event: 'dispatch', listener: (payload: { data: GatewayDispatch; shardId: number }) => void): void {
    this.#listeners.push(listener)
  }

  async connect(): Promise<void> {
    const ready = new Promise<void>((resolve) => (this.#ready = resolve))
    await this.#connect()
    await ready
  }

  /** One that waits to connect again is not told to stop, and will go on with whatever session it is given. */
  async destroy({ code }: { code: number }): Promise<void> {
    if (!this.#isConnected) return
    this.#isConnected = false
    await this.#handover.updateSessionInfo(0, null)
    this.#gateway.detach(this, code)
  }

  /** The connection was closed from outside: it comes back by itself. */
  closed(): void {
    if (!this.#isConnected) return
    this.#isConnected = false
    this.#process.clock.after(500, () => void this.#connect())
  }

  receive(dispatch: GatewayDispatch): void {
    this.#inSocket = this.#inSocket
      .then(() => this.#process.whenAwake())
      .then(() => {
        if (!this.#isConnected) return
        const { inflateMs } = this.#gateway
        if (inflateMs === 0 || dispatch.s % 3 !== 2) void this.#received(dispatch)
        else this.#process.clock.after(inflateMs, () => void this.#received(dispatch))
      })
  }

  async #connect(): Promise<void> {
    const session = await this.#handover.retrieveSessionInfo(0)
    this.#isConnected = true
    if (this.#gateway.attach(this, session)) return
    await this.#handover.updateSessionInfo(0, null)
    this.#gateway.attach(this, null)
  }

  async #received(data: GatewayDispatch): Promise<void> {
    const { t, s, d } = data
    if (t === 'READY') {
      const { session_id: sessionId } = d as { session_id: string }
      const info = { sessionId, sequence: s, shardId: 0, shardCount: 1, resumeURL: 'wss://gateway' }
      await this.#handover.updateSessionInfo(0, info)
    }
    if (t === 'READY' || t === 'RESUMED') this.#ready?.()
    const session = await this.#handover.retrieveSessionInfo(0)
    if (session !== null && s > session.sequence) await this.#handover.updateSessionInfo(0, { ...session, sequence: s })
    for (const listener of this.#listeners) listener({ data, shardId: 0 })
  }
}

/** Processes of one bot that hand its session on. */
export class SessionFleet {
  readonly gateway = new FakeGateway()
  readonly fleet: Fleet
  readonly runs: { readonly id: string; readonly by: string; readonly attempt: number }[] = []

  constructor(random?: () => number) {
    this.fleet = new Fleet(random)
  }

  get clock(): Fleet['clock'] {
    return this.fleet.clock
  }

  process(options: Partial<SessionHandoverOptions> = {}): SessionProcess {
    return new SessionProcess(this, this.fleet.process(), options)
  }

  send(id: string): void {
    this.gateway.send('INTERACTION_CREATE', { id })
  }

  runsOf(id: string): readonly string[] {
    return this.runs.filter((run) => run.id === id).map(({ by, attempt }) => `${by} ${attempt}`)
  }
}

/** One of them. It can be killed, or stand still. */
export class SessionProcess {
  readonly handover: SessionHandover
  readonly manager: FakeManager
  readonly body: FleetProcess
  readonly told: string[] = []
  readonly repeated: string[] = []
  readonly unfinished: string[] = []
  readonly errors: unknown[] = []
  isReplaced = false
  /** How long its handler works. */
  workMs = 0
  readonly #gateway: FakeGateway

  constructor({ gateway, runs }: SessionFleet, body: FleetProcess, options: Partial<SessionHandoverOptions>) {
    this.body = body
    this.#gateway = gateway
    this.handover = new SessionHandover({
      version: body.version,
      handle: async ({ t, d }, { attempt }) => {
        if (t !== 'INTERACTION_CREATE') return
        runs.push({ id: (d as { id: string }).id, by: body.version, attempt })
        if (this.workMs > 0) await new Promise<void>((resolve) => body.clock.after(this.workMs, resolve))
        await body.whenAwake()
      },
      onError: (error) => this.errors.push(error),
      effects: 'keyed',
      store: body.store,
      scope: 'process',
      clock: body.clock,
      ...options,
    })
    this.manager = new FakeManager(gateway, body, this.handover)
    this.handover.on('change', ({ what, to }) => this.told.push(`${what} ${to}`))
    this.handover.on('repeated', ({ eventId }) => this.repeated.push(eventId.replace('interactionCreate:', '')))
    this.handover.on('unfinished', ({ eventId }) => this.unfinished.push(eventId.replace('interactionCreate:', '')))
    this.handover.on('replaced', () => (this.isReplaced = true))
  }

  start(): Promise<void> {
    return this.handover.start(this.manager)
  }

  kill(): void {
    this.body.kill()
    this.#gateway.detach(this.manager)
  }
}
