import type { ReportKind } from './judge-options.js'

/** Which version something happened on: the new one, or the old one. */
export type Side = 'green' | 'blue'

/** What one guild, or the user of direct messages, has been through in a window, by version. */
export interface UnitWindow {
  green: boolean
  blue: boolean
  greenFailed: boolean
  blueFailed: boolean
  /** How long its first call on each version took, in ms. */
  greenMs: number | undefined
  blueMs: number | undefined
}

/** So many are looked at in one window; more are a fair sample already. */
const maxUnits = 20_000

/** What happens between two looks. */
export class Window {
  readonly units: Map<string, UnitWindow> = new Map()
  readonly calls: Record<Side, number> = { green: 0, blue: 0 }
  readonly failures: Record<Side, number> = { green: 0, blue: 0 }
  /** By kind: who has reported something of which version. Each counts once in a window, or one user would speak for all. */
  readonly #reporters = new Map<ReportKind, Map<string, Side>>()

  add(side: Side, unitId: string | undefined, tookMs: number, isFailed: boolean): void {
    this.calls[side] += 1
    if (isFailed) this.failures[side] += 1
    if (unitId === undefined) return
    let unit = this.units.get(unitId)
    if (unit === undefined) {
      if (this.units.size >= maxUnits) return
      unit = { green: false, blue: false, greenFailed: false, blueFailed: false, greenMs: undefined, blueMs: undefined }
      this.units.set(unitId, unit)
    }
    const measured = Number.isFinite(tookMs) && tookMs >= 0 ? tookMs : undefined
    if (side === 'green') {
      unit.green = true
      if (isFailed) unit.greenFailed = true
      unit.greenMs ??= measured
    } else {
      unit.blue = true
      if (isFailed) unit.blueFailed = true
      unit.blueMs ??= measured
    }
  }

  report(kind: ReportKind, side: Side, unitId: string): void {
    const reporters = this.#reporters.get(kind) ?? new Map<string, Side>()
    this.#reporters.set(kind, reporters)
    if (!reporters.has(unitId) && reporters.size < maxUnits) reporters.set(unitId, side)
  }

  /** How many of those who are compared have reported that of each version. */
  reports(kind: ReportKind, isCompared: (unitId: string) => boolean = () => true): Record<Side, number> {
    const counts = { green: 0, blue: 0 }
    for (const [unitId, side] of this.#reporters.get(kind) ?? []) if (isCompared(unitId)) counts[side] += 1
    return counts
  }
}
