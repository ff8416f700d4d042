import { DegradationManager } from '@evenkeel/degradation-manager'
import { measure, print } from '../measure.js'

/** Whether a feature may run now. */
export async function asked(): Promise<void> {
  const modes = new DegradationManager({ features: { work: { priority: 'critical' } } })
  const handle = modes.feature('work')
  const allowed = new Map([['work', true]])
  const holder = { isAllowed: true }
  let sink = 0
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
        {
          name: 'floor: a field of an object',
          run(count) {
            for (let i = 0; i < count; i++) if (holder.isAllowed) sink++
          },
        },
        {
          name: 'evenkeel, by its handle',
          run(count) {
            for (let i = 0; i < count; i++) if (handle.allows()) sink++
          },
        },
        {
          name: 'the empty loop, part of each',
          run(count) {
            for (let i = 0; i < count; i++) sink++
          },
        },
      ],
      20_000_000,
    ),
  )
  if (sink < 0) throw new Error('Never: the sum keeps the loops from being optimised away')
}
