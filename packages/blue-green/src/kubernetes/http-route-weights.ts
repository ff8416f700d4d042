import { requireKnown } from '../checked-options.js'
import { KubernetesObjectError } from './errors.js'
import { httpRoute, labelOf, readName, recordOf } from './resources.js'
import { weightsOf, wordsOf } from './share.js'
import type { TrafficTarget } from './traffic-target.js'

/** What {@link httpRouteWeights} takes. */
export interface HttpRouteWeightsOptions {
  /** The HTTPRoute of the Gateway API. */
  readonly route: string
  /** The Service of each version, as the route's `backendRefs` name it. Two versions may share one, if never one follows the other. */
  readonly backends: Readonly<Record<string, string>>
}

/**
 * Divides traffic by the weights of an HTTPRoute: in every rule that names both Services.
 *
 * @remarks
 * *Gotchas*: a route draws for each request anew, and knows nothing of guilds. Rules without both Services, and other backends, stay
 * as they are.
 *
 * @param options - the route, and the Service of each version
 * @returns for `target` of `TrafficRouter`
 * @throws TypeError that names the option, and what would do
 * @see https://gateway-api.sigs.k8s.io/guides/traffic-splitting/
 *
 * @example
 * ```ts
 * import { httpRouteWeights } from '@evenkeel/blue-green/kubernetes'
 *
 * const target = httpRouteWeights({ route: 'bot', backends: { v1: 'bot-blue', v2: 'bot-green' } })
 * console.log(target.words({ blue: 'v1', green: 'v2', percentage: 10 })) // => v1 90 %, v2 10 %
 * ```
 */
export function httpRouteWeights(options: HttpRouteWeightsOptions): TrafficTarget {
  requireKnown('httpRouteWeights', options, ['route', 'backends'])
  const resource = httpRoute(options.route)
  const backends = new Map(Object.entries(recordOf(options.backends) as Record<string, string>))
  for (const [version, backend] of backends) readName(`backends: the Service of "${version}"`, backend)
  if (backends.size === 0) throw new TypeError("backends must be an object of Services, such as { v1: 'bot-blue' }")
  const label = labelOf(resource)
  const backendOf = (version: string): string => {
    const backend = backends.get(version)
    if (backend !== undefined) return backend
    throw new KubernetesObjectError(label, `has no backend for version "${version}": give it in backends`)
  }
  return {
    resource,
    words: wordsOf,
    change({ spec }, share) {
      const [blue, green] = [backendOf(share.blue), backendOf(share.green)]
      if (blue === green && share.blue !== share.green) {
        throw new KubernetesObjectError(label, `has "${blue}" for both "${share.blue}" and "${share.green}"`)
      }
      const weights = weightsOf(share)
      const weightOf = (name: string): number | undefined =>
        name === blue
          ? weights.blue
          : name === green
            ? weights.green
            : [...backends.values()].includes(name)
              ? 0
              : undefined
      const rules: readonly unknown[] = Array.isArray(spec['rules']) ? spec['rules'] : []
      const isMeant = (rule: unknown): boolean => {
        const names = refsOf(rule).map(({ name }) => name)
        return names.includes(blue) && names.includes(green)
      }
      if (!rules.some(isMeant)) {
        throw new KubernetesObjectError(
          label,
          `has no rule whose backendRefs name ${[...new Set([blue, green])].join(' and ')}`,
        )
      }
      let isSo = true
      const weighted = rules.map((rule) => {
        if (!isMeant(rule)) return rule
        const backendRefs = refsOf(rule).map((ref) => {
          const weight = weightOf(String(ref['name']))
          // What has none weighs 1.
          if (weight === undefined || (ref['weight'] ?? 1) === weight) return ref
          isSo = false
          return { ...ref, weight }
        })
        return { ...recordOf(rule), backendRefs }
      })
      // A merge patch replaces a list as a whole.
      return isSo ? undefined : { rules: weighted }
    },
  }
}

function refsOf(rule: unknown): Readonly<Record<string, unknown>>[] {
  const { backendRefs } = recordOf(rule)
  return Array.isArray(backendRefs) ? backendRefs.map(recordOf) : []
}
