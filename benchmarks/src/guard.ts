import { bulkhead, fallback, handleAll, timeout, TimeoutStrategy, wrap } from 'cockatiel'
import { DegradationManager } from '@evenkeel/degradation-manager'
import { measure, print } from './measure.js'

/** A guarded call around a function that answers at once: what the guard itself costs. */
export async function guard(): Promise<void> {
  const work = async (value: number): Promise<number> => value
  const modes = new DegradationManager({ features: { work: { priority: 'critical' } }, rules: [] })
  const ours = modes.guard('work', work, { timeoutMs: 2_000, fallback: () => 0 })
  const bare = modes.guard('work', work, { timeoutMs: Infinity })
  const theirs = wrap(fallback(handleAll, 0), timeout(2_000, TimeoutStrategy.Aggressive))
  const noop = bulkhead(10)

  print(
    'guard: one call of an async function that answers at once',
    await measure(
      [
        { name: 'floor: the call itself', run: (count) => times(count, work) },
        { name: 'evenkeel guard, no deadline', run: (count) => times(count, bare) },
        { name: 'evenkeel guard, deadline and fallback', run: (count) => times(count, ours) },
        { name: 'cockatiel bulkhead', run: (count) => times(count, (value) => noop.execute(() => work(value))) },
        {
          name: 'cockatiel wrap(fallback, timeout)',
          run: (count) => times(count, (value) => theirs.execute(() => work(value))),
        },
      ],
      20_000,
    ),
  )

  let sink = 0
  const allowed = new Map([['work', true]])
  print(
    'allows: may the feature run?',
    await measure(
      [
        {
          name: 'floor: Map lookup',
          run(count) {
            for (let i = 0; i < count; i++) if (allowed.get('work') === true) sink++
          },
        },
        {
          name: 'evenkeel allows(name)',
          run(count) {
            for (let i = 0; i < count; i++) if (modes.allows('work')) sink++
          },
        },
      ],
      2_000_000,
    ),
  )
  if (sink < 0) throw new Error('Never: the sum keeps the loops from being optimised away')
}

async function times(count: number, call: (value: number) => Promise<number>): Promise<void> {
  for (let i = 0; i < count; i++) await call(i)
}
