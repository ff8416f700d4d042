import type { WritableStorage } from '../../migration/ports.js'
import type { Stage, Undisturbed, Way } from './stage.js'

/**
 * Two processes run it at once: one that was thought dead, and the one that took over. Each may fail because of the other; when it is
 * run once more, all is as if there had been one.
 */
export async function runTwice<S extends WritableStorage>(
  stage: Stage<S>,
  known: Undisturbed,
  { step, way }: { readonly step: string; readonly way: Way },
  signal: AbortSignal,
): Promise<string> {
  return stage.play(signal, async (trial) => {
    if (way === 'down') await stage.run('up', trial, signal)
    const run = (): ReturnType<typeof stage.tried> => stage.tried(way, trial, signal, { isRepeated: true })
    const failed = (await Promise.all([run(), run()])).filter((failure) => failure !== undefined)
    if (failed.length > 0) await stage.run(way, trial, signal, { isRepeated: true })
    stage.requireEqual(step, way === 'up' ? known.after : known.before, await trial.snapshot(signal))
    return `${way}: the same in the end${failed.length > 0 ? `, though ${failed.length} of 2 failed at first` : ''}`
  })
}
