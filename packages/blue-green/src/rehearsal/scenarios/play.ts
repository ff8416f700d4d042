import type { WritableStorage } from '../../migration/ports.js'
import type { Steps } from '../../migration/steps.js'
import { type Rewrite, writeMeanwhile } from './bot-writes.js'
import { damageRows } from './damaged-rows.js'
import { failCalls, type Failure } from './failing-calls.js'
import type { Stage, Undisturbed, Way } from './stage.js'
import { runTwice } from './two-at-once.js'

/** A family of faults: calls that fail, rows that are damaged, others who write. */
export type Scenario = 'failure' | 'corruption' | 'concurrency'

export const scenarios: readonly Scenario[] = ['failure', 'corruption', 'concurrency']

/** The steps of the scenarios. Public as names in reports. */
const scenarioSteps = {
  failure: { writes: 'a write fails', reads: 'a read fails' },
  corruption: { rows: 'a row is damaged' },
  concurrency: { bot: 'the bot writes meanwhile', two: 'two run it at once' },
} as const

/** All of them, without a failure, when they are left out. */
export function skipScenarios(steps: Steps, chosen: readonly Scenario[], why: string): void {
  for (const scenario of chosen) for (const name of Object.values(scenarioSteps[scenario])) steps.skip(name, why)
}

/** Plays the chosen scenarios, for `up` and, where there is one, for `down`. */
export async function playScenarios<S extends WritableStorage>(
  stage: Stage<S>,
  chosen: readonly Scenario[],
  rewrite: Rewrite | undefined,
  steps: Steps,
): Promise<void> {
  if (stage.settings.maxCrashes === 0) return skipScenarios(steps, chosen, 'maxCrashes is 0')
  let known: Undisturbed | undefined
  const knownOf = async (signal: AbortSignal): Promise<Undisturbed> => (known ??= await stage.undisturbed(signal))
  /** One after the other, as clauses. */
  const both = async (known: Undisturbed, run: (way: Way) => Promise<string>): Promise<string> => {
    const found = [await run('up')]
    if (known.hasDown) found.push(await run('down'))
    return found.join('; ')
  }
  if (chosen.includes('failure')) {
    const failing: readonly (readonly [string, readonly Failure[]])[] = [
      [scenarioSteps.failure.writes, ['refused write', 'lost answer']],
      [scenarioSteps.failure.reads, ['failed read']],
    ]
    for (const [step, failures] of failing) {
      await steps.run(step, async (signal, tick) => {
        const undisturbed = await knownOf(signal)
        return both(undisturbed, async (way) => {
          const found: string[] = []
          for (const failure of failures) {
            found.push(await failCalls(stage, undisturbed, { step, way, failure }, signal, tick))
          }
          return found.join('; ')
        })
      })
    }
  }
  if (chosen.includes('corruption')) {
    const step = scenarioSteps.corruption.rows
    await steps.run(step, async (signal, tick) => damageRows(stage, step, await knownOf(signal), signal, tick))
  }
  if (chosen.includes('concurrency')) {
    const { bot, two } = scenarioSteps.concurrency
    await steps.run(bot, async (signal) => {
      const undisturbed = await knownOf(signal)
      return both(undisturbed, (way) => writeMeanwhile(stage, undisturbed, { step: bot, way, rewrite }, signal))
    })
    await steps.run(two, async (signal) => {
      const undisturbed = await knownOf(signal)
      return both(undisturbed, (way) => runTwice(stage, undisturbed, { step: two, way }, signal))
    })
  }
}
