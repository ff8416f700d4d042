import { recordOf, type KubernetesObject } from './resources.js'

/** How far the pods of a Deployment are. */
export interface Rollout {
  /** Whether all serve. */
  readonly isReady: boolean
  /** Whether the cluster has given up. */
  readonly hasFailed: boolean
  /** What is missing, as a clause. */
  readonly why: string
}

/**
 * Judges a Deployment as `kubectl rollout status` does, and asks for ready pods besides. Pure.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
 */
export function rolloutOf({ metadata, spec, status }: KubernetesObject): Rollout {
  const wanted = countOf(spec['replicas'] ?? 1)
  const [replicas, updated, ready, available] = [
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
  ].map((name) => countOf(status[name])) as [number, number, number, number]
  const waits = (why: string): Rollout => ({ isReady: false, hasFailed: false, why })
  if (wanted === 0) return waits('it is scaled to 0 pods')
  // Until then, the status is about an older spec.
  if (countOf(status['observedGeneration']) < (metadata.generation ?? 0))
    return waits('the cluster has not seen it yet')
  const progress = conditionOf(status, 'Progressing')
  if (progress?.['reason'] === 'ProgressDeadlineExceeded') {
    return { isReady: false, hasFailed: true, why: `the cluster has given up: ${textOf(progress['message'])}` }
  }
  const failure = conditionOf(status, 'ReplicaFailure')
  const because = failure?.['status'] === 'True' ? `, as ${textOf(failure['message'])}` : ''
  if (updated < wanted) return waits(`${updated} of ${wanted} pods are made${because}`)
  if (replicas > updated) return waits(`${replicas - updated} pods of an older revision are still there`)
  if (ready < wanted) return waits(`${ready} of ${wanted} pods are ready${because}`)
  if (available < wanted) return waits(`${available} of ${wanted} pods are ready for long enough`)
  return { isReady: true, hasFailed: false, why: `${wanted} of ${wanted} pods are ready` }
}

/** How many pods are wanted; the API leaves no field out, but a default is 1. */
export function replicasOf({ spec }: KubernetesObject): number {
  return countOf(spec['replicas'] ?? 1)
}

/** Zero is left out by the API. */
function countOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function conditionOf({ conditions }: Readonly<Record<string, unknown>>, type: string) {
  return Array.isArray(conditions)
    ? conditions.map(recordOf).find((condition) => condition['type'] === type)
    : undefined
}

function textOf(message: unknown): string {
  return typeof message === 'string' ? message : 'no reason given'
}
