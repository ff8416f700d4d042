import type { HealthCheck } from '../check-result.js'

/**
 * Looks whether Node is new enough.
 *
 * @param atLeast - such as `20.19.0`
 * @param version - which it is; `process.versions.node` unless you say otherwise
 * @returns the check
 * @throws TypeError when one is no version
 *
 * @example
 * ```ts
 * import { nodeVersionCheck, runSteps } from '@evenkeel/health-monitor/preflight'
 *
 * const { status } = await runSteps({ node: nodeVersionCheck('20.19.0') })
 * console.log(status) // => up
 * ```
 */
export function nodeVersionCheck(atLeast: string, version: string = process.versions.node): HealthCheck {
  const [needed, present] = [numbersOf(atLeast), numbersOf(version)]
  return () => {
    const at = needed.findIndex((number, index) => number !== (present[index] ?? 0))
    if (at === -1 || (present[at] ?? 0) > needed[at]!) return { status: 'up', reason: `Node is ${version}` }
    return { status: 'down', reason: `Node is ${version}; ${atLeast} or later is needed` }
  }
}

function numbersOf(version: string): number[] {
  const [, ...numbers] = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-.*)?$/.exec(version) ?? []
  if (numbers.length === 0) throw new TypeError(`nodeVersionCheck: ${JSON.stringify(version)} is no version`)
  return numbers.map((number) => Number(number ?? 0))
}
