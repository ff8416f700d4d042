import type { FlagMachine } from './flag-machine.js'
import type { FlagStatus } from './news.js'
import { findFlag, percentageOf } from './table.js'

/** What a flag is like at present, for people. @throws UnknownFlagError when there is no such flag */
export function statusOf(name: string, { layers, runner, clock, news }: FlagMachine): FlagStatus {
  const table = layers.current
  const { record, state: ownState } = findFlag(table, name)
  const { spec, runtime, usage } = record
  const state = table.killed === undefined ? ownState : 'all-off'
  const retryAtMs = state === 'fallen-back' ? runner.retryAtMs(name) : undefined
  const leftMs = retryAtMs === undefined ? undefined : Math.max(0, retryAtMs - clock.monotonic())
  const answers = spec.kind === 'variant' ? spec.variants.names : ['off', 'on']
  return {
    name,
    description: spec.description,
    owner: spec.owner,
    state,
    by: spec.by,
    percentage: percentageOf(record),
    share: runtime?.share,
    guildOverrides: record.guilds.size,
    userOverrides: record.users.size,
    retryAt: leftMs === undefined ? undefined : Math.round(clock.now() + leftMs),
    expiresAt: spec.expiresAt,
    isExpired: spec.expiresAt !== undefined && spec.expiresAt <= clock.now(),
    usage: Object.fromEntries(answers.map((answer, i) => [answer, usage[i] ?? 0])),
    lastChange: news.lastChange(name),
  }
}
