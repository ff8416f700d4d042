/** A port could not be listened on. */
export class ListenError extends Error {
  /** The class's name. */
  override readonly name = 'ListenError'
  /** Stable, for programs: somebody else has the port, or it cannot be had for another reason, which the cause tells. */
  readonly code: 'PORT_TAKEN' | 'LISTEN_FAILED'
  /** A port that is taken may be free later. */
  readonly retryable: boolean
  /** Nothing is served. */
  readonly applied = 'no'
  /** The port that was asked for. */
  readonly port: number
  /** The address that was asked for; every one of the machine unless one was. */
  readonly host: string | undefined

  /**
   * @param port - the port that was asked for
   * @param host - the address that was asked for, if one was
   * @param cause - what the system said, with its `code`
   */
  constructor(port: number, host: string | undefined, cause: NodeJS.ErrnoException) {
    const isTaken = cause.code === 'EADDRINUSE'
    const where = host === undefined ? `port ${port}` : `port ${port} of ${host}`
    super(
      isTaken
        ? `Another program has ${where}; end it, or give another port`
        : `Cannot listen on ${where}: ${cause.message}`,
      { cause },
    )
    this.code = isTaken ? 'PORT_TAKEN' : 'LISTEN_FAILED'
    this.retryable = isTaken
    this.port = port
    this.host = host
  }
}
