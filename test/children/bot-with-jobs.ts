import { Jobs, type JobRun } from '@evenkeel/blue-green/jobs'
import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'

// One process of a bot with jobs, beside others on the same SQLite file. Each run is written down when it begins and when it ends; SIGTERM
// hands over. It says what it does, a line each.

const [version = '', path = '', workMs = '0', leaseMs = '10000'] = process.argv.slice(2)

function say(...words: readonly unknown[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

const storage = new SqliteStorage({ path })
await storage.start()
const store = storage.collection('evenkeel')
const restart = new GaplessRestart({
  version,
  handle: (event: string) => event,
  context: (event) => ({ eventId: event }),
  effects: 'keyed',
  store,
  heartbeatMs: 100,
  leaseMs: 1_000,
})

async function work({ runId, attempt }: JobRun): Promise<void> {
  await storage.collection('begun').set(`${runId} ${attempt}`, version)
  say('BEGAN', runId, attempt)
  if (Number(workMs) > 0) await new Promise((resolve) => setTimeout(resolve, Number(workMs)))
}

const jobs = new Jobs({
  jobs: {
    // Its effect, a number that it adds to, is written with its end.
    stored: {
      everyMs: 200,
      effects: 'stored',
      run: async (run) => {
        await work(run)
        const sum = (await storage.collection<number>('sums').get('stored')) ?? 0
        await run.commit([
          { type: 'set', collection: 'sums', key: 'stored', value: sum + 1 },
          { type: 'set', collection: 'done', key: run.runId, value: version },
        ])
      },
    },
    keyed: {
      everyMs: 300,
      effects: 'keyed',
      run: async (run) => {
        await work(run)
        await storage.collection('done').set(run.runId, version)
      },
    },
    once: { everyMs: 500, effects: 'atMostOnce', run: work },
  },
  owner: restart,
  store,
  storage,
  leaseMs: Number(leaseMs),
  lookMs: 100,
})
jobs.on('repeated', ({ job, scheduledAt, attempt }) => say('REPEATED', `${job}:${scheduledAt}`, attempt))
jobs.on('unfinished', ({ job, scheduledAt, attempt }) => say('UNFINISHED', `${job}:${scheduledAt}`, attempt))
jobs.on('failed', ({ message }) => say('FAILED', message))
jobs.on('ran', ({ job, scheduledAt }) => say('RAN', `${job}:${scheduledAt}`))
// A bot has its connection, which keeps it alive.
const connection = setInterval(() => {}, 60_000)
await restart.start()
await jobs.start()
await restart.takeOver()
say('OWNER')

process.once('SIGTERM', () => {
  void (async () => {
    const [, { drained }] = await Promise.all([restart.drain(), jobs.drain()])
    await jobs.stop()
    await restart.stop()
    await storage.stop()
    clearInterval(connection)
    say('ENDED', drained)
  })()
})
