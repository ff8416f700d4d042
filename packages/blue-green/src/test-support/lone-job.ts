import { MemoryStorage } from '@evenkeel/storage-adapter'
import { Jobs, type JobOperation, type JobOptions, type JobRun, type JobsOptions, type JobStore } from '../jobs.js'
import { Fleet } from './fleet.js'
import { everyMinute } from './job-fleet.js'

/** What the bots of {@link alone} keep, of their runs and by them. One storage for all: each bot has its own name. */
export const storage = new MemoryStorage()
let names = 0

/** The name of a bot that no other one in the storage has. */
export function newName(): string {
  return `bot-${(names += 1)}`
}

/** One process that owns the bot, with its effects in the same storage. */
export async function alone(
  run: (run: JobRun) => unknown,
  more: Partial<JobOptions> = {},
  options: Partial<JobsOptions> = {},
) {
  const name = newName()
  const fleet = new Fleet()
  const process = fleet.process()
  await process.restart.start()
  const jobs = new Jobs({
    jobs: { digest: { ...everyMinute, ...more, run } },
    owner: process.restart,
    store: storage.collection('evenkeel'),
    storage,
    name,
    scope: 'process',
    clock: process.clock,
    ...options,
  })
  const told: string[] = []
  for (const event of ['ran', 'failed', 'repeated', 'unfinished', 'skipped'] as const) {
    jobs.on(event, ({ to, why }) => told.push(`${to}: ${why}`))
  }
  jobs.on('change', ({ what, to, why }) => told.push(`${what} ${to}: ${why}`))
  await jobs.start()
  told.length = 0
  return { ...fleet, fleet, process, clock: fleet.clock, jobs, told, name, key: `job:${name}:digest` }
}

/** A way to the storage that can be out, and on which a batch may fare as a test wants. */
export function wired() {
  const inner = storage.collection('evenkeel')
  const apply = (operations: readonly JobOperation[]): Promise<unknown> => storage.batch(operations)
  const wire = { isDown: false, apply, batch: apply }
  const reach = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (wire.isDown) throw new Error('connection refused')
    return ask()
  }
  const store: JobStore = {
    name: 'evenkeel',
    scope: inner.scope,
    entry: (key) => reach(() => inner.entry(key)),
    compareAndSet: (key, expected, value) => reach(() => inner.compareAndSet(key, expected, value)),
  }
  return {
    wire,
    options: { store, storage: { batch: (operations: readonly JobOperation[]) => wire.batch(operations) } },
  }
}

/** An effect to commit. */
export function note(key: string): JobOperation {
  return { type: 'set', collection: 'notes', key, value: 'tea' }
}
