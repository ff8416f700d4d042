import { ApiError } from './api-error.js'
import type { RestReply } from './routes.js'

/** Generous: Discord itself allows about 5 messages in 5 seconds. */
const callsPerWindow = 1_000
const windowMs = 1_000

/** The buckets of creating messages, one for each channel, told in the headers that client libraries pace by. */
export class RateLimits {
  readonly #now: () => number
  readonly #buckets = new Map<string, { calls: number; readonly endsAt: number }>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** Makes the call if its channel's bucket has room, and adds the bucket's headers to the reply. */
  limit(channelId: string, call: () => RestReply): RestReply {
    const now = this.#now()
    let bucket = this.#buckets.get(channelId)
    if (bucket === undefined || now >= bucket.endsAt) {
      bucket = { calls: 0, endsAt: now + windowMs }
      this.#buckets.set(channelId, bucket)
    }
    bucket.calls++
    const leftMs = bucket.endsAt - now
    if (bucket.calls > callsPerWindow) return rateLimited(leftMs, false)
    const headers = bucketHeaders(callsPerWindow - bucket.calls, bucket.endsAt, leftMs)
    try {
      return { ...call(), headers }
    } catch (error) {
      if (error instanceof ApiError) return { status: error.status, body: error, headers }
      throw error
    }
  }
}

/** 429 as Discord words it. */
export function rateLimited(retryAfterMs: number, isGlobal: boolean): RestReply {
  const retryAfterS = Math.ceil(retryAfterMs) / 1_000
  return {
    status: 429,
    body: { message: 'You are being rate limited.', retry_after: retryAfterS, global: isGlobal },
    headers: {
      'retry-after': String(retryAfterS),
      'x-ratelimit-scope': isGlobal ? 'global' : 'user',
      ...(isGlobal ? { 'x-ratelimit-global': 'true' } : {}),
    },
  }
}

function bucketHeaders(remaining: number, endsAt: number, leftMs: number): Record<string, string> {
  return {
    'x-ratelimit-limit': String(callsPerWindow),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': (endsAt / 1_000).toFixed(3),
    'x-ratelimit-reset-after': (leftMs / 1_000).toFixed(3),
    'x-ratelimit-bucket': 'channel-messages',
  }
}
