import { FencedError } from '../errors.js'
import type { KubernetesApi } from './api.js'
import { KubernetesObjectError, KubernetesRefusedError } from './errors.js'
import { labelOf, type KubernetesObject, type KubernetesResource } from './resources.js'

/** Where the fencing token of the controller that wrote last is kept, in each object that is written. */
const epochAnnotation = 'evenkeel.dev/epoch'

/** So many others in a row that were quicker are no accident. */
const maxConflicts = 10

/**
 * Changes an object as one controller among several: only if nobody with a newer fencing token has, and only as it was read.
 *
 * @param epoch - the fencing token of this controller, read anew for each try; 0 while it has none
 * @param change - what is to be written into `spec`; `undefined` when it is so already. Called for each try
 * @throws {@link FencedError} when a newer controller wrote it, or this one has no token
 */
export async function fencedWrite(
  api: KubernetesApi,
  resource: KubernetesResource,
  epoch: () => number,
  change: (object: KubernetesObject) => object | undefined,
  signal: AbortSignal,
): Promise<{ readonly object: KubernetesObject; readonly isChanged: boolean }> {
  for (let conflicts = 1; ; conflicts++) {
    const object = await api.get(resource, { signal })
    const mine = epoch()
    const { resourceVersion, annotations } = object.metadata
    const found = readEpoch(resource, annotations?.[epochAnnotation])
    if (found > mine) throw fencedBy(resource, mine, found)
    const spec = change(object)
    // With a newer token it is written all the same, so that the older controller is refused from here on.
    if (spec === undefined && (mine === found || mine === 0)) return { object, isChanged: false }
    if (mine === 0) throw fencedBy(resource, mine, found)
    const metadata = { resourceVersion, annotations: { [epochAnnotation]: String(mine) } }
    try {
      const written = await api.patch(resource, { metadata, ...(spec !== undefined && { spec }) }, { signal })
      return { object: written, isChanged: spec !== undefined }
    } catch (error) {
      const isConflict = error instanceof KubernetesRefusedError && error.status === 409
      if (!isConflict || conflicts === maxConflicts) throw error
    }
  }
}

function fencedBy(resource: KubernetesResource, mine: number, found: number): FencedError {
  if (mine === 0) return new FencedError('it has no epoch yet, as start() of BlueGreen has not resolved', undefined)
  const remedy = `If its state was lost, kubectl annotate ${labelOf(resource).replace(/s\//, '/')} ${epochAnnotation}-`
  return new FencedError(`${labelOf(resource)} was written with epoch ${found}, and this is ${mine}. ${remedy}`, found)
}

function readEpoch(resource: KubernetesResource, note: string | undefined): number {
  if (note === undefined) return 0
  if (/^\d{1,15}$/.test(note)) return Number(note)
  throw new KubernetesObjectError(
    labelOf(resource),
    `has the annotation ${epochAnnotation}: ${JSON.stringify(note)}, which is no epoch. Remove it, if no controller needs it`,
  )
}
