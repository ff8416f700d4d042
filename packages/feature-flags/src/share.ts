import { idText, type Id } from './context.js'
import { inCode, isRecord, literal, SettingProblem } from './setting-problem.js'
import { checkPercentage } from './specification.js'
import type { FlagShare } from './table.js'

/** @throws TypeError, RangeError naming the flag */
export function percentageInCode(flag: string, percentage: unknown): number {
  try {
    return checkPercentage(percentage)
  } catch (error) {
    throw error instanceof SettingProblem ? inCode(flag, error) : error
  }
}

/** A share as it is kept. @throws TypeError, RangeError saying what is wrong with it */
export function shareInCode(flag: string, share: unknown): FlagShare {
  if (!isRecord(share)) {
    throw new TypeError(`A share is { percentage, targetGuilds, sequence }, not ${literal(share)}`)
  }
  const { targetGuilds, sequence } = share
  const percentage = percentageInCode(flag, share['percentage'])
  if (!Array.isArray(targetGuilds)) {
    throw new TypeError(`The targetGuilds of a share must be a list of ids, not ${literal(targetGuilds)}`)
  }
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 1) {
    throw new RangeError(`The sequence of a share must be a whole number from 1, not ${literal(sequence)}`)
  }
  const ids = (targetGuilds as Id[]).map((id) => idText(id, 'guildId')).filter((id) => id !== undefined)
  return { percentage, targetGuilds: ids, sequence: sequence as number }
}
