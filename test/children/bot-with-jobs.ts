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

/** As the events tell it. */
function idOf({ job, scheduledAt }: Pick<JobRun, 'job' | 'scheduledAt'>): string {
  return `${job}:${scheduledAt}`
}

async function work(run: JobRun): Promise<void> {
  await storage.collection('begun').set(`${idOf(run)} ${run.attempt}`, version)
  say('BEGAN', idOf(run), run.attempt)
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
          { type: 'set', collection: 'done', key: idOf(run), value: version },
        ])
      },
    },
    keyed: {
      everyMs: 300,
      effects: 'keyed',
      run: async (run) => {
        await work(run)
        await storage.collection('done').set(idOf(run), version)
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
jobs.on('repeated', (news) => say('REPEATED', idOf(news), news.attempt))
jobs.on('unfinished', (news) => say('UNFINISHED', idOf(news), news.attempt))
jobs.on('failed', ({ message }) => say('FAILED', message))
jobs.on('ran', (news) => say('RAN', idOf(news)))
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
