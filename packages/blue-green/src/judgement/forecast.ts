import { powerReport } from '@evenkeel/canary-judge'
import type { OrdinaryTraffic } from './evidence.js'

/** How long the evidence of one step will take. */
export interface StepForecast {
  /** Green's share in it, 0 to 100. */
  readonly percentage: number
  /** How long it lasts at least, in ms. */
  readonly stepMs: number
  /** Within how many ms three times as many errors are found, about; `undefined` when they cannot be in a week. */
  readonly threefoldMs: number | undefined
  /** The same of five times as many. */
  readonly fivefoldMs: number | undefined
}

/** How long the evidence of a deployment will take, by the traffic of late. */
export interface Forecast {
  /** The steps in which both versions serve, in order. */
  readonly steps: readonly StepForecast[]
  /** Whether each step is long enough to find three times as many errors. */
  readonly isSufficient: boolean
  /** The same as a sentence. */
  readonly message: string
}

interface ForecastPlan {
  readonly percentages: readonly number[]
  readonly stepMs: number | readonly number[]
}

/** What can be foreseen of a plan. A guild counts once in a window. */
export function forecast(
  plan: ForecastPlan,
  ordinary: OrdinaryTraffic | undefined,
  judged: { readonly windowMs: number; readonly falseAlarmRatio: number; readonly metrics: object } | undefined,
): Forecast {
  const { percentages, stepMs } = plan
  const compared = percentages
    .map((percentage, step) => ({ percentage, stepMs: typeof stepMs === 'number' ? stepMs : (stepMs[step] ?? 0) }))
    .filter(({ percentage }) => percentage > 0 && percentage < 100)
  if (judged === undefined) {
    return { steps: [], isSufficient: false, message: 'Nothing is judged: each step ends by its time alone.' }
  }
  if (ordinary === undefined) {
    const unknown = 'How long the evidence takes is not known yet: no window of traffic has ended since the start.'
    const { windowMs } = judged
    const shortestMs = Math.min(...compared.map((step) => step.stepMs))
    const held = ` Steps of ${shortestMs} ms end within one window (${windowMs} ms), and will be held for evidence.`
    const message = shortestMs < windowMs ? unknown + held : unknown
    return { steps: [], isSufficient: false, message }
  }
  const { windowMs, falseAlarmRatio, metrics } = judged
  const windowsPerMinute = 60_000 / windowMs
  const steps = compared.map(({ percentage, stepMs: lastsMs }): StepForecast => {
    const { powers } = powerReport({
      greenPerMinute: ordinary.units * (percentage / 100) * windowsPerMinute,
      bluePerMinute: ordinary.units * (1 - percentage / 100) * windowsPerMinute,
      errorRatio: Math.min(1, Math.max(0, ordinary.affectedRatio)),
      metrics: Object.keys(metrics).length,
      falseAlarmRatio,
    })
    const within = (ratio: number): number | undefined => {
      const minutes = powers.find((power) => power.ratio === ratio)?.minutes
      return minutes === undefined ? undefined : Math.max(windowMs, minutes * 60_000)
    }
    return { percentage, stepMs: lastsMs, threefoldMs: within(3), fivefoldMs: within(5) }
  })
  const told = steps.map(({ percentage, threefoldMs }) => `at ${percentage} % ${duration(threefoldMs)}`)
  const traffic = `${Math.round(ordinary.units)} guilds in ${Math.round(windowMs / 60_000)} minutes, of which ${short(ordinary.affectedRatio * 100)} % see an error`
  const isSufficient = steps.every((step) => step.threefoldMs !== undefined && step.threefoldMs <= step.stepMs)
  const enough = isSufficient
    ? 'The steps are long enough for that.'
    : 'Steps that are shorter will be held for evidence.'
  const message =
    steps.length === 0
      ? 'No step has both versions at work, so there is nothing to compare.'
      : `With ${traffic}, three times as many are found: ${told.join('; ')}. ${enough}`
  return { steps, isSufficient, message }
}

function duration(ms: number | undefined): string {
  if (ms === undefined) return 'not within a week'
  const minutes = Math.round(ms / 60_000)
  return minutes < 120 ? `in about ${minutes} minutes` : `in about ${Math.round(minutes / 60)} hours`
}

function short(value: number): number {
  return Number(value.toPrecision(2))
}
