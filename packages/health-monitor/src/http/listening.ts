import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How much patience a server has with those who connect. */
export interface ServerLimits {
  /**
   * Milliseconds, from 100, in which a request must have arrived. Whoever takes nothing of an answer for twice as long is
   * left.
   *
   * @defaultValue 10_000
   */
  readonly requestTimeoutMs?: number
  /**
   * Milliseconds, from 100, for which an idle connection is kept open.
   *
   * @defaultValue 5_000
   */
  readonly keepAliveMs?: number
  /**
   * How many connections there may be at once, from 1; further ones are closed.
   *
   * @defaultValue 100
   */
  readonly maxConnections?: number
}

export const serverLimits: Required<ServerLimits> = {
  requestTimeoutMs: 10_000,
  keepAliveMs: 5_000,
  maxConnections: 100,
}

/** What a probe sends fits in a fraction of it. */
const MAX_HEADER_BYTES = 8_192

/** A server that nobody can keep busy: every connection that does not get to the point is closed. */
export function limitedServer(listener: RequestListener, limits: Required<ServerLimits>): Server {
  const { requestTimeoutMs, keepAliveMs, maxConnections } = limits
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      // Node looks every 30 s otherwise, and a limit would be one of 30 s.
      connectionsCheckingInterval: Math.min(1_000, Math.ceil(requestTimeoutMs / 4)),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    listener,
  )
  server.maxConnections = maxConnections
  // Otherwise nothing ends a connection at whose other end nobody reads. Longer than the time for a request, so that who is
  // late with that is told.
  server.timeout = 2 * requestTimeoutMs
  return server
}

/** The limits, complete. */
export function limitsOf(options: ServerLimits): Required<ServerLimits> {
  const { requestTimeoutMs, keepAliveMs, maxConnections } = options
  return {
    requestTimeoutMs: requestTimeoutMs ?? serverLimits.requestTimeoutMs,
    keepAliveMs: keepAliveMs ?? serverLimits.keepAliveMs,
    maxConnections: maxConnections ?? serverLimits.maxConnections,
  }
}

/** @returns the port; rejects with what the system says */
export function listen(server: Server, port: number, host: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

/** @throws TypeError or RangeError when a port, a host or a limit is none */
export function requireServer(
  where: string,
  options: ServerLimits & { readonly port: number; readonly host?: string },
): void {
  const { port, host } = (options as typeof options | undefined) ?? ({} as typeof options)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`${where}: port must be a whole number from 0 to 65_535, not ${String(port)}`)
  }
  if (host !== undefined && (typeof host !== 'string' || host === '')) {
    throw new TypeError(`${where}: host must be an address such as 127.0.0.1; leave it out for every address`)
  }
  for (const [option, least] of [
    ['requestTimeoutMs', 100],
    ['keepAliveMs', 100],
    ['maxConnections', 1],
  ] as const) {
    const value = limitsOf(options)[option]
    if (!Number.isInteger(value) || value < least || value > 2 ** 31 - 1) {
      throw new RangeError(`${where}: ${option} must be a whole number from ${least}, not ${value}`)
    }
  }
}
