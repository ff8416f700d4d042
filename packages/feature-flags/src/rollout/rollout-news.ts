import type { FlagNews, Severity } from '../news.js'
import type { Foresight } from './foresight.js'
import type { RolloutTraffic } from './rollout-judge.js'
import type { RolloutEntry } from './rollout-record.js'
import type { RolloutState } from './transitions.js'
import type { CheckResult } from './validation.js'

/** Whether this process moves the rollout, or another one does, or nobody here has started. */
export type RolloutController = 'DRIVING' | 'STANDBY' | 'STOPPED'

/** What every piece of news of a rollout says: the same as that of a flag, but that it belongs to no state of the flags. */
type News = Omit<FlagNews, 'epoch'>

/** The rollout has moved: written down, and in force. */
export interface RolloutTransition extends News {
  /** What changed. */
  readonly aspect: 'rollout'
  /** `<flag>#<sequence>`: names this transition for ever, so that one that is told twice can be told from another. */
  readonly id: string
  /** Grows by one with each transition of the flag. */
  readonly sequence: number
  /** Where it was. */
  readonly from: RolloutState
  /** Where it is. The same as before, when it moves to another phase. */
  readonly to: RolloutState
  /** The name of the phase. */
  readonly phase: string
  /** The percentage before, 0 to 100. */
  readonly fromPercentage: number
  /** The percentage after, 0 to 100. */
  readonly percentage: number
  /** The version of the code; empty where none was named. */
  readonly version: string
  /** What was found after a rollback, where that is what is told. */
  readonly checks?: readonly CheckResult[]
}

/** This process drives the rollout from now on, or does so no more. */
export interface RolloutControllerChange extends News {
  /** What changed. */
  readonly aspect: 'controller'
  /** Before. */
  readonly from: RolloutController
  /** After. */
  readonly to: RolloutController
}

/** The store went away or came back. */
export interface RolloutStoreChange extends News {
  /** What changed. */
  readonly aspect: 'store'
  /** Before. */
  readonly from: 'up' | 'down'
  /** After. */
  readonly to: 'up' | 'down'
}

/** The traffic of the flag is known, and so is what the evidence will be able to show: after an hour, or at the start. */
export interface RolloutPowerChange extends News {
  /** What changed. */
  readonly aspect: 'power'
  /** Before. */
  readonly from: 'unknown'
  /** `insufficient` where a phase ends before a doubling of the errors can be seen, and so will hold. */
  readonly to: 'sufficient' | 'insufficient'
  /** What was measured. */
  readonly traffic: RolloutTraffic
}

/** Something about a rollout changed; `aspect` tells what. */
export type RolloutChange = RolloutTransition | RolloutControllerChange | RolloutStoreChange | RolloutPowerChange

/** The events of {@link Rollout}. */
export interface RolloutEvents {
  /** Something changed. Of the processes that share a rollout, the one that drives tells of its transitions. */
  change: [change: RolloutChange]
  /**
   * The rollout has moved, for an audit. Told once; twice only when the driver dies in the moment between telling it and
   * writing down that it was told, and then with the same `id`.
   */
  transition: [transition: RolloutTransition]
}

/** A transition as it is remembered, as news. */
export function transitionNews(
  flag: string,
  entry: RolloutEntry,
  checks: readonly CheckResult[] | null,
): RolloutTransition {
  const { sequence, from, to, phase, fromPercentage, percentage, version, at, why, by, severity } = entry
  const told = to === 'ROLLED_BACK' && checks !== null ? { checks } : {}
  return {
    what: flag,
    aspect: 'rollout',
    id: `${flag}#${sequence}`,
    sequence,
    from,
    to,
    phase,
    fromPercentage,
    percentage,
    version,
    at,
    why,
    ...(by === undefined ? {} : { by }),
    severity,
    message: `${sentence(flag, entry)}${by === undefined ? '' : ` (${by})`}. ${because(why)}`,
    ...told,
  }
}

/** Who drives has changed. */
export function controllerNews(
  flag: string,
  [from, to]: readonly [RolloutController, RolloutController],
  { why, severity = 'INFO', at }: { why: string; severity?: Severity; at: number },
): RolloutControllerChange {
  const lead = {
    DRIVING: `This process drives the rollout of ${JSON.stringify(flag)} now`,
    STANDBY: `This process does not drive the rollout of ${JSON.stringify(flag)}`,
    STOPPED: `This process takes no part in the rollout of ${JSON.stringify(flag)} any more`,
  }[to]
  return { what: flag, aspect: 'controller', from, to, at, why, severity, message: `${lead}. ${because(why)}` }
}

/** The store went away or came back. */
export function storeNews(flag: string, isUp: boolean, why: string, at: number): RolloutStoreChange {
  const [from, to] = isUp ? (['down', 'up'] as const) : (['up', 'down'] as const)
  const name = JSON.stringify(flag)
  const message = isUp
    ? `The rollout of ${name} goes on: its store answers again.`
    : `The rollout of ${name} stands still, since its store cannot be reached. ${because(why)}`
  return { what: flag, aspect: 'store', from, to, at, why, severity: isUp ? 'INFO' : 'WARNING', message }
}

/** It is known what the evidence will be able to show. */
export function powerNews(flag: string, { traffic, isSufficient, why }: Foresight, at: number): RolloutPowerChange {
  const name = JSON.stringify(flag)
  const lead = isSufficient
    ? `The rollout of ${name} has traffic enough to see a doubling of the errors in each phase`
    : `The rollout of ${name} has too little traffic to see a doubling of the errors in each phase, and will hold there`
  return {
    what: flag,
    aspect: 'power',
    from: 'unknown',
    to: isSufficient ? 'sufficient' : 'insufficient',
    traffic,
    at,
    why,
    severity: isSufficient ? 'INFO' : 'WARNING',
    message: `${lead}. ${because(why)}`,
  }
}

function because(why: string): string {
  return `Why: ${why.replace(/\.$/, '')}.`
}

function sentence(flag: string, { from, to, phase, fromPercentage, percentage }: RolloutEntry): string {
  const rollout = `The rollout of ${JSON.stringify(flag)}`
  const at = `phase ${JSON.stringify(phase)}, ${short(percentage)} %`
  switch (to) {
    case 'RUNNING':
      if ((from === 'HOLDING' || from === 'PAUSED') && fromPercentage === percentage) {
        return `${rollout} goes on in ${at}`
      }
      if (from === 'RUNNING' || from === 'HOLDING' || from === 'PAUSED') {
        return `${rollout} goes from ${short(fromPercentage)} % to ${at}`
      }
      return `${rollout} begins with ${at}`
    case 'HOLDING':
      return `${rollout} holds in ${at}`
    case 'PAUSED':
      return `${rollout} is paused in ${at}, and needs a person`
    case 'ROLLING_BACK':
      return from === 'ROLLING_BACK'
        ? `${rollout} is being rolled back, from ${short(fromPercentage)} % to ${short(percentage)} %`
        : `${rollout} is being rolled back in batches from ${short(percentage)} %`
    case 'VALIDATING':
      return `The flag ${JSON.stringify(flag)} is off for everyone, and it is looked whether all is well`
    case 'COMPLETE':
      return `${rollout} is complete at ${short(percentage)} %`
    case 'ROLLED_BACK':
      return `${rollout} was rolled back`
    case 'ABORTED':
      return `${rollout} was aborted, and the flag is off for everyone`
  }
}

function short(percentage: number): number {
  return Number(percentage.toFixed(2))
}
