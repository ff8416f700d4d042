/** What `smtp-server`, which has no types of its own, is used for here. */
declare module 'smtp-server' {
  import type { Server } from 'node:net'

  export class SMTPServer {
    readonly server: Server
    constructor(options: object)
    listen(port: number, host: string): void
    close(done: () => void): void
    on(event: 'error', listener: () => void): void
  }
}
