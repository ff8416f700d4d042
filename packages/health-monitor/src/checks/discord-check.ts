import type { HealthCheck } from '../check-result.js'
import { requireKnown } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'

/** One connection to Discord, as discord.js 14 shows it. */
export interface DiscordShard {
  /** The shard's number. */
  readonly id: number
  /** What it is doing; 0 is ready. */
  readonly status: number
  /** When the last heartbeat that Discord answered was sent, epoch ms; -1 before the first. */
  readonly lastPingTimestamp: number
}

/** A client as {@link discordCheck} needs it; the `Client` of discord.js 14 is one. */
export interface DiscordClient {
  /** Its gateway. */
  readonly ws: DiscordGateway
}

/** All connections of a client. */
export interface DiscordGateway {
  /** The shards; a `Map` or a discord.js `Collection` by number. */
  readonly shards: Pick<ReadonlyMap<number, DiscordShard>, 'values'>
}

/** How {@link discordCheck} judges. */
export interface DiscordCheckOptions {
  /**
   * Milliseconds between two heartbeats, as the gateway asks for them. discord.js does not tell.
   *
   * @defaultValue 41_250
   */
  readonly heartbeatIntervalMs?: number
  /** The clock to measure with; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link discordCheck} uses when its options leave it open. */
export const discordCheckDefaults: Required<Omit<DiscordCheckOptions, 'clock'>> = {
  heartbeatIntervalMs: 41_250,
}

/** discord.js' `Status`, by number. */
const STATUS_NAMES = [
  'ready',
  'connecting',
  'reconnecting',
  'idle',
  'nearly ready',
  'disconnected for good',
  'waiting for guilds',
  'identifying',
  'resuming',
] as const
const READY = 0

/** With one and a half intervals, a heartbeat has been left unanswered. */
const INTERVALS_TO_DEGRADED = 1.5

/** discord.js gives a connection up after two unanswered heartbeats. After that, not even discord.js has noticed. */
const INTERVALS_TO_DOWN = 2.5

/** What a look remembers of one shard. */
interface Memory {
  readonly isReady: boolean
  readonly lastPingTimestamp: number
  /** When Discord was last known to hear this shard, monotonic ms. */
  readonly heardMs: number
}

interface Verdict {
  readonly status: 'up' | 'degraded' | 'down'
  readonly reason: string
}

const MAX_NAMED_SHARDS = 3

/**
 * Looks whether a discord.js 14 client really is connected: every shard ready, and its heartbeats answered.
 *
 * @remarks
 * `client.isReady()` stays true through reconnects and outages, and `client.ws.ping` shows the last good number for
 * ever. So this looks at each shard's own status, and at the age of the last heartbeat that Discord answered. A shard
 * whose last answered heartbeat is older than one and a half intervals is degraded (one was left unanswered; also for a
 * moment after some quick reconnects), older than two and a half it is down. The client is down when every shard is,
 * or when there is none, and degraded when some are.
 *
 * *Gotchas*: ages are measured on the monotonic clock, from look to look, so a corrected wall clock does no harm. One
 * check remembers one client: make another for another.
 *
 * @param client - a discord.js client, also before it has logged in
 * @param options - the heartbeat's interval
 * @returns the check
 * @throws TypeError when the client has no `ws.shards`, or an option does not exist
 * @throws RangeError when `heartbeatIntervalMs` is not above 0
 *
 * @example
 * ```ts
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 * import { discordCheck } from '@evenkeel/health-monitor/discord'
 *
 * // With discord.js: const client = new Client({ intents })
 * const client = { ws: { shards: new Map([[0, { id: 0, status: 8, lastPingTimestamp: -1 }]]) } }
 *
 * const health = new HealthMonitor({ checks: { gateway: { check: discordCheck(client) } } })
 * console.log((await health.check('gateway')).reason) // => shard 0 is resuming
 * ```
 */
export function discordCheck(client: DiscordClient, options: DiscordCheckOptions = {}): HealthCheck {
  requireKnown('discordCheck', options, ['heartbeatIntervalMs', 'clock'])
  const { clock = systemClock, heartbeatIntervalMs = discordCheckDefaults.heartbeatIntervalMs } = options
  if (typeof (client as Partial<DiscordClient> | undefined)?.ws?.shards?.values !== 'function') {
    throw new TypeError('discordCheck: give a discord.js 14 client, which has client.ws.shards')
  }
  if (!(heartbeatIntervalMs > 0) || !Number.isFinite(heartbeatIntervalMs)) {
    throw new RangeError(`discordCheck: heartbeatIntervalMs must be milliseconds above 0, not ${heartbeatIntervalMs}`)
  }
  let memories = new Map<number, Memory>()
  let lookedMs = clock.monotonic()
  return () => {
    const nowMs = clock.monotonic()
    const look = { nowMs, now: clock.now(), sinceLastMs: nowMs - lookedMs }
    const remembered = new Map<number, Memory>()
    const verdicts: Verdict[] = []
    for (const shard of client.ws.shards.values()) {
      const memory = remember(memories.get(shard.id), shard, look)
      remembered.set(shard.id, memory)
      verdicts.push(judge(shard, nowMs - memory.heardMs, heartbeatIntervalMs))
    }
    memories = remembered
    lookedMs = nowMs
    return summarize(verdicts)
  }
}

function remember(
  before: Memory | undefined,
  { status, lastPingTimestamp }: DiscordShard,
  { nowMs, now, sinceLastMs }: { nowMs: number; now: number; sinceLastMs: number },
): Memory {
  const isReady = status === READY
  let heardMs = before?.heardMs ?? nowMs
  if (lastPingTimestamp > 0 && lastPingTimestamp !== before?.lastPingTimestamp) {
    // The wall clock says when; but an answer that is new cannot be older than the last look, whatever that clock says.
    const oldestMs = before === undefined ? Infinity : sinceLastMs
    heardMs = nowMs - Math.min(Math.max(0, now - lastPingTimestamp), oldestMs)
  }
  // A new connection begins with a wait of up to one interval; the old connection's heartbeat says nothing about it.
  if (isReady && before?.isReady === false) heardMs = nowMs
  return { isReady, lastPingTimestamp, heardMs }
}

function judge({ id, status }: DiscordShard, ageMs: number, heartbeatIntervalMs: number): Verdict {
  if (status !== READY)
    return { status: 'down', reason: `shard ${id} is ${STATUS_NAMES[status] ?? `in status ${status}`}` }
  const reason = `shard ${id} has had no heartbeat answered for ${Math.round(ageMs / 1_000)} s`
  if (ageMs > INTERVALS_TO_DOWN * heartbeatIntervalMs) return { status: 'down', reason }
  if (ageMs > INTERVALS_TO_DEGRADED * heartbeatIntervalMs) return { status: 'degraded', reason }
  return { status: 'up', reason: `shard ${id} is ready` }
}

function summarize(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.length === 0) return { status: 'down', reason: 'there is no shard; client.login() has not got that far' }
  const ailing = verdicts.filter(({ status }) => status !== 'up')
  if (ailing.length === 0) return { status: 'up', reason: `all shards (${verdicts.length}) are ready` }
  const named = ailing.slice(0, MAX_NAMED_SHARDS).map(({ reason }) => reason)
  if (ailing.length > named.length) named.push(`${ailing.length - named.length} more of ${verdicts.length} shards ail`)
  const areAllDown = verdicts.every(({ status }) => status === 'down')
  return { status: areAllDown ? 'down' : 'degraded', reason: named.join(', ') }
}
