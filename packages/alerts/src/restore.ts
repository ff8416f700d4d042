import { Ledger, type SpoolRecord } from './ledger.js'
import type { ResolvedOptions } from './options.js'

/**
 * What an earlier process left, as this one can use it. Its clock may have been ahead of ours: what would lie in the
 * future is now.
 */
export function restore(records: readonly SpoolRecord[], nowMs: number, options: ResolvedOptions): Ledger {
  const ledger = new Ledger()
  for (const record of records) ledger.apply(clamp(record, nowMs, options))
  ledger.balance()
  return ledger
}

function clamp(record: SpoolRecord, nowMs: number, { expireMs }: ResolvedOptions): SpoolRecord {
  const past = (ms: number): number => Math.min(ms, nowMs)
  if (record.type === 'notice') {
    // JSON makes null of what never expires.
    const expiresMs = (record.expiresMs as number | null) ?? Infinity
    return { ...record, bornMs: past(record.bornMs), expiresMs: Math.min(expiresMs, nowMs + expireMs) }
  }
  if (record.type === 'message') return { ...record, atMs: past(record.atMs) }
  if (record.type !== 'state') return record
  const { state } = record
  return {
    ...record,
    state: {
      ...state,
      sinceMs: past(state.sinceMs),
      lastMs: past(state.lastMs),
      toldMs: past(state.toldMs),
      changes: state.changes.map(past),
    },
  }
}
