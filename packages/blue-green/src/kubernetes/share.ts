/** Which versions have the traffic, and how much of it. */
export interface TrafficShare {
  /** The version that has what green has not. */
  readonly blue: string
  /** The version that is being deployed; that of blue while none is. */
  readonly green: string
  /** Green's share, 0 to 100. */
  readonly percentage: number
}

/** What `BlueGreen` says of where it is, as far as traffic is concerned. */
export interface RoutedStatus {
  /** The version that serves what no deployment moves. */
  readonly active: string
  /** The deployment that runs, if any. */
  readonly deployment:
    | {
        /** Blue. */
        readonly from: string
        /** Green. */
        readonly to: string
        /** Green's share. */
        readonly percentage: number
      }
    | undefined
  /** Whether this process drives. */
  readonly controller: 'DRIVING' | 'FENCED' | 'STOPPED'
  /** The fencing token of this process; 0 before it drives. */
  readonly epoch: number
}

/** Pure. */
export function shareOf({ active, deployment }: RoutedStatus): TrafficShare {
  if (deployment === undefined) return { blue: active, green: active, percentage: 0 }
  return { blue: deployment.from, green: deployment.to, percentage: deployment.percentage }
}

export function isSameShare(a: TrafficShare | undefined, b: TrafficShare): boolean {
  return a !== undefined && wordsOf(a) === wordsOf(b)
}

/** As in `v1 90 %, v2 10 %`; who has everything is said alone. */
export function wordsOf({ blue, green, percentage }: TrafficShare): string {
  if (blue === green || percentage <= 0) return `${blue} 100 %`
  if (percentage >= 100) return `${green} 100 %`
  return `${blue} ${Number((100 - percentage).toFixed(6))} %, ${green} ${percentage} %`
}

/**
 * The share as two whole numbers, as weights of a route are. Whoever has anything keeps at least 1, and 0 is nobody. Pure.
 *
 * @returns out of 100 where the share is a whole number, else out of 1,000,000, the largest weight that there is
 */
export function weightsOf({ blue, green, percentage }: TrafficShare): {
  readonly blue: number
  readonly green: number
} {
  if (blue === green || percentage <= 0) return { blue: 100, green: 0 }
  if (percentage >= 100) return { blue: 0, green: 100 }
  const whole = Number.isInteger(percentage) ? 100 : 1_000_000
  const weight = Math.min(Math.max(Math.round((percentage / 100) * whole), 1), whole - 1)
  return { blue: whole - weight, green: weight }
}
