import { setTimeout as sleep } from 'node:timers/promises'
import { FeatureFlags } from '@evenkeel/feature-flags'
import { parsePlan, Rollout } from '@evenkeel/feature-flags/rollout'
import { MemoryStorage } from '@evenkeel/storage-adapter'

// For real this is a file, read by `readPlan('rollout.yaml')`, and its seconds are days.
const plan = await parsePlan(
  `
rollout_strategy:
  type: "canary"
  phases:
    - name: "canary"
      percentage: 10
      duration: "200ms"
    - name: "gradual"
      percentage: [50, 100]
      duration_per_phase: "200ms"
  rollback_triggers:
    - response_time_degradation: 50%
`,
  'yaml',
)

// For real the store is SqliteStorage, PostgresStorage or RedisStorage, and `scope` is left out.
const store = new MemoryStorage().collection('evenkeel')
const flags = new FeatureFlags({ flags: { newSearch: { by: 'user' }, newOrder: { by: 'user' } }, store })
await flags.start()

// Both features give the right answer, and one makes users wait for it.
const outcomes = {
  newSearch: await rollOut('newSearch', () => sleep(2, 'found')),
  newOrder: await rollOut('newOrder', () => sleep(20, 'found')),
}
console.log(outcomes) // => { newSearch: 'COMPLETE', newOrder: 'ROLLED_BACK' }
console.log(flags.status('newSearch').percentage, flags.status('newOrder').percentage) // => 100 0
await flags.stop()

/** Starts a rollout, and serves users until it is over. */
async function rollOut(flag: 'newSearch' | 'newOrder', newPath: () => Promise<string>): Promise<string> {
  // For real the last two are left out: a rollout looks every 15 seconds, and a minute after a rollback whether all is well.
  const rollout = new Rollout({ flags, flag, plan, store, scope: 'process', intervalMs: 100, settleMs: 300 })
  rollout.on('transition', ({ message }) => console.log(message))
  await rollout.start()
  let result: Awaited<typeof rollout.finished> | undefined
  void rollout.finished.then((end) => (result = end))
  for (let user = 0; result === undefined; user++) {
    // What is on for this user is measured, and so is what the others have at the same time.
    void flags.run(flag, { userId: String(user % 1_000) }, newPath, () => sleep(2, 'found'))
    await sleep(1)
  }
  await rollout.stop()
  return result.outcome
}
