import type { KubernetesObject, KubernetesResource } from './resources.js'
import type { TrafficShare } from './share.js'

/** An object of the cluster by which traffic is divided. Made by `serviceSelector` or `httpRouteWeights`. */
export interface TrafficTarget {
  /** Which object. */
  readonly resource: KubernetesResource
  /**
   * What is to be written into its `spec`, so that it divides the traffic so; `undefined` when it does already.
   *
   * @throws {@link KubernetesObjectError} when the object cannot
   */
  change(object: KubernetesObject, share: TrafficShare): object | undefined
  /** What it makes of a share, in words: a Service knows all or nothing. */
  words(share: TrafficShare): string
}
