/** What the harness asks of the process of a manager. */
export type Order = 'switch' | 'switch twice'

/** What it hears. */
export type Done = 'up' | { readonly switched: true; readonly refused: number }

/** Starts the bots of a manager, and switches when told. Twice is two calls in one tick. */
export async function runManager(start: () => Promise<void>, restart: () => Promise<unknown>): Promise<void> {
  await start()
  tell('up')
  process.on('message', (order: Order) => void obey(order, restart))
  process.on('disconnect', () => process.exit())
}

async function obey(order: Order, restart: () => Promise<unknown>): Promise<void> {
  const restarts = order === 'switch' ? [restart()] : [restart(), restart()]
  const refused = (await Promise.allSettled(restarts)).filter(({ status }) => status === 'rejected')
  tell({ switched: true, refused: refused.length })
}

function tell(done: Done): void {
  process.send?.(done)
}
