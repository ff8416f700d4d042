import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { FeatureFlags } from '../feature-flags.js'
import { Rollout } from '../rollout/rollout.js'

/**
 * One of the processes of a bot that share a database: it rolls a flag out, and makes calls of it all the time. Tells what
 * happens, a line each. SIGTERM ends it.
 */
const [path = '', name = ''] = process.argv.slice(2)

function say(...words: readonly (string | number)[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

async function main(): Promise<void> {
  const storage = new SqliteStorage({ path })
  const store = storage.collection('evenkeel')
  const flags = new FeatureFlags({ flags: { newSearch: { percentage: 0 } }, store, environment: {} })
  await flags.start()
  const phases = [
    { name: 'testers', percentage: 0, targetGuilds: ['7'], durationMs: 1_500 },
    { name: 'half', percentage: 50, durationMs: 4_000 },
    { name: 'all', percentage: 100, durationMs: 1_500 },
  ]
  const rollout = new Rollout({
    flags,
    flag: 'newSearch',
    // By time alone: what is judged is tested elsewhere.
    plan: { phases, triggers: {} },
    store,
    intervalMs: 100,
    leaseMs: 1_000,
    evidenceMs: 500,
  })
  rollout.on('change', (change) => {
    if (change.aspect === 'controller') say('CONTROLLER', change.to)
  })
  rollout.on('transition', ({ id, to, phase }) => say('TOLD', id, to, phase))
  await rollout.start()
  say('STARTED', name)
  let calls = 0
  // Keeps the process alive, which a rollout does not.
  const timer = setInterval(() => {
    calls += 1
    void flags.run(
      'newSearch',
      { guildId: String(calls % 50) },
      () => 'new',
      () => 'old',
    )
  }, 5)
  const end = new Promise<string>((resolve) => process.once('SIGTERM', () => resolve('SIGTERM')))
  const outcome = await Promise.race([rollout.finished.then((result) => result.outcome), end])
  say('ENDED', outcome, flags.status('newSearch').percentage ?? 'none')
  clearInterval(timer)
  await rollout.stop()
  await flags.stop()
  await storage.stop()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
