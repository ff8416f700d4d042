import type { HealthCheck } from '../check-result.js'
import { requireKnown } from '../options.js'
import { onDemand } from './on-demand.js'

/** What {@link tcpCheck} connects to. */
export interface TcpCheckOptions {
  /** The port, 1 to 65535. */
  readonly port: number
  /**
   * The host's name or address.
   *
   * @defaultValue `'127.0.0.1'`
   */
  readonly host?: string
}

/** What {@link tcpCheck} uses when its options leave it open. */
export const tcpCheckDefaults: Required<Omit<TcpCheckOptions, 'port'>> = { host: '127.0.0.1' }

/**
 * Looks whether something accepts connections at a TCP port. Nothing is sent, and the connection is closed at once.
 *
 * @remarks
 * *Gotchas*: that the system accepts a connection does not say that the program behind it is well: where there is more
 * to ask, ask for more.
 *
 * @param options - where
 * @returns the check
 * @throws TypeError when an option does not exist, or is of another type
 * @throws RangeError when the port is out of range
 *
 * @example
 * ```ts
 * import { createServer } from 'node:net'
 * import { HealthMonitor, tcpCheck } from '@evenkeel/health-monitor'
 *
 * const server = createServer()
 * await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
 * const { port } = server.address() as { port: number }
 *
 * const health = new HealthMonitor({ checks: { cache: { check: tcpCheck({ port }) } } })
 * console.log((await health.check('cache')).status) // => up
 * server.close()
 * ```
 */
export function tcpCheck(options: TcpCheckOptions): HealthCheck {
  requireKnown('tcpCheck', options, ['host', 'port'])
  const { port, host = tcpCheckDefaults.host } = options
  if (typeof host !== 'string' || host === '') throw new TypeError('tcpCheck: host must be a name or an address')
  if (typeof port !== 'number') throw new TypeError(`tcpCheck: port must be a number, not a ${typeof port}`)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`tcpCheck: port must be a whole number from 1 to 65535, not ${port}`)
  }
  return async (signal) => {
    const { connect } = onDemand('node:net')
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host, port, signal })
      socket.once('connect', resolve)
      // Also later: an error without a listener would end the process.
      socket.on('error', reject)
      socket.on('connect', () => socket.destroy())
    })
    return { status: 'up', reason: `${host} accepts connections at port ${port}` }
  }
}
