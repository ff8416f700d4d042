import { requireKnown } from '../checked-options.js'
import { KubernetesObjectError } from './errors.js'
import { labelOf, recordOf, service } from './resources.js'
import type { TrafficTarget } from './traffic-target.js'

/** What {@link serviceSelector} takes. */
export interface ServiceSelectorOptions {
  /** The Service. */
  readonly service: string
  /** The labels by which the pods of each version are told apart. Other labels of the selector stay as they are. */
  readonly versions: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** At which share of green the Service goes over to it, 0 < share <= 100: it knows all or nothing. */
  readonly flipAtPercentage?: number | undefined
}

/** The options of {@link serviceSelector} that have a default. */
export type ServiceSelectorDefaults = Readonly<Record<'flipAtPercentage', number>>

/** The value of each option of `serviceSelector` that is not given. */
export const serviceSelectorDefaults: ServiceSelectorDefaults = { flipAtPercentage: 100 }

/**
 * Divides traffic by the selector of a Service: all to the pods of one version.
 *
 * @param options - the Service, and the labels of each version
 * @returns for `target` of `TrafficRouter`
 * @throws TypeError or RangeError that names the option, and what would do
 *
 * @example
 * ```ts
 * import { serviceSelector } from '@evenkeel/blue-green/kubernetes'
 *
 * const target = serviceSelector({ service: 'bot', versions: { v1: { slot: 'blue' }, v2: { slot: 'green' } } })
 * console.log(target.words({ blue: 'v1', green: 'v2', percentage: 50 })) // => v1 100 %
 * ```
 */
export function serviceSelector(options: ServiceSelectorOptions): TrafficTarget {
  requireKnown('serviceSelector', options, ['service', 'versions', 'flipAtPercentage'])
  const resource = service(options.service)
  const versions = readVersions(options.versions)
  const flipAt = options.flipAtPercentage ?? serviceSelectorDefaults.flipAtPercentage
  if (!(flipAt > 0 && flipAt <= 100)) {
    throw new RangeError(`flipAtPercentage must be above 0 and at most 100, not ${String(flipAt)}`)
  }
  const chosen = ({ blue, green, percentage }: Parameters<TrafficTarget['words']>[0]): string =>
    percentage >= flipAt ? green : blue
  return {
    resource,
    words: (share) => `${chosen(share)} 100 %`,
    change({ spec }, share) {
      const labels = versions.get(chosen(share))
      if (labels === undefined) {
        throw new KubernetesObjectError(
          labelOf(resource),
          `has no labels for version "${chosen(share)}": give them in versions`,
        )
      }
      const selector = recordOf(spec['selector'])
      const isSo = Object.entries(labels).every(([key, value]) => selector[key] === value)
      return isSo ? undefined : { selector: labels }
    },
  }
}

/** All have the same labels, so that none of another version is left over. */
function readVersions(given: ServiceSelectorOptions['versions']): Map<string, Readonly<Record<string, string>>> {
  const versions = new Map(Object.entries(recordOf(given) as ServiceSelectorOptions['versions']))
  const keysOf = (labels: object): string => Object.keys(labels).sort().join(', ')
  const [first] = versions.values()
  for (const [version, labels] of versions) {
    const values = Object.values(recordOf(labels))
    if (values.length === 0 || values.some((value) => typeof value !== 'string')) {
      throw new TypeError(`versions: "${version}" needs labels, such as { slot: 'blue' }`)
    }
    if (keysOf(labels) !== keysOf(first ?? {})) {
      throw new TypeError(
        `versions: "${version}" has the labels ${keysOf(labels)}, and another one ${keysOf(first ?? {})}`,
      )
    }
  }
  if (versions.size === 0) throw new TypeError("versions must be an object of labels, such as { v1: { slot: 'blue' } }")
  return versions
}
