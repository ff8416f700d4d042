/** What a look says. */
export interface Verdict {
  readonly status: 'up' | 'degraded' | 'down'
  readonly reason: string
}

/** What a figure may come to. */
export interface Limits {
  /** Above it, `degraded`. */
  readonly degraded: number
  /** Above it, `down`. */
  readonly down: number
}

const BADNESS = { up: 0, degraded: 1, down: 2 } as const

/** Judges a figure of which less is better. */
export function above(
  value: number,
  { degraded, down }: Limits,
  reason: string,
  show: (limit: number) => string,
): Verdict {
  if (value > down) return { status: 'down', reason: `${reason}, above ${show(down)}` }
  if (value > degraded) return { status: 'degraded', reason: `${reason}, above ${show(degraded)}` }
  return { status: 'up', reason }
}

/** Judges a figure of which more is better. */
export function below(
  value: number,
  { degraded, down }: Limits,
  reason: string,
  show: (limit: number) => string,
): Verdict {
  if (value < down) return { status: 'down', reason: `${reason}, below ${show(down)}` }
  if (value < degraded) return { status: 'degraded', reason: `${reason}, below ${show(degraded)}` }
  return { status: 'up', reason }
}

/** All of them in one: the worst status, with the reasons of all that are not up; of all when all are up. */
export function together(verdicts: readonly Verdict[]): Verdict {
  const status = verdicts.reduce<Verdict['status']>((worst, { status: next }) => {
    return BADNESS[next] > BADNESS[worst] ? next : worst
  }, 'up')
  const said = verdicts.filter((verdict) => status === 'up' || verdict.status !== 'up')
  return { status, reason: said.map(({ reason }) => reason).join('; ') }
}
