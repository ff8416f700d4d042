import type { Session } from './session.js'

/** The best that a bot can do for a manager that ends it by SIGTERM: it begins nothing more, and ends what runs. */
export function finishOnSigterm(session: Session): void {
  process.on('SIGTERM', () => {
    session.removeAllListeners('event')
    void session.ended().then(async () => {
      await session.close()
      process.exit()
    })
  })
}
