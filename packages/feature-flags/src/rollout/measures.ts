import { isRecord } from '../setting-problem.js'
import type { RolloutMeasures } from './rollout-options.js'

/** What each measure looks like. What stands in it is for the judge to read. */
const shapes: Readonly<Record<keyof RolloutMeasures, (value: unknown) => boolean>> = {
  users: (value) => isBoth(value, Number.isFinite),
  memory: (value) => Array.isArray(value) && value.every(isMemorySample),
  database: (value) => isRecord(value) && (!('green' in value || 'blue' in value) || isBoth(value, isRecord)),
  satisfaction: Number.isFinite,
  restarts: Number.isFinite,
  storage: (value) => isBoth(value, (each) => typeof each === 'boolean'),
}

/**
 * What was measured, without what makes no sense: a measure that goes wrong must not stop a rollout.
 *
 * @param value - whatever `measure` gave
 * @returns the names of what made no sense, in order, beside the rest
 */
export function readMeasures(value: unknown): { measures: RolloutMeasures; nonsense: readonly string[] } {
  if (value === undefined) return { measures: {}, nonsense: [] }
  if (!isRecord(value)) return { measures: {}, nonsense: ['everything'] }
  const given = Object.entries(value).filter(([, each]) => each !== undefined)
  const isRight = ([name, each]: [string, unknown]): boolean => {
    return Object.hasOwn(shapes, name) && shapes[name as keyof RolloutMeasures](each)
  }
  return {
    measures: Object.fromEntries(given.filter(isRight)),
    nonsense: given
      .filter((entry) => !isRight(entry))
      .map(([name]) => name)
      .sort(),
  }
}

function isMemorySample(value: unknown): boolean {
  if (!isRecord(value) || !Number.isFinite(value['ageMs']) || !Number.isFinite(value['bytes'])) return false
  return value['side'] === 'green' || value['side'] === 'blue'
}

function isBoth(value: unknown, isRight: (value: unknown) => boolean): boolean {
  return isRecord(value) && isRight(value['green']) && isRight(value['blue'])
}
