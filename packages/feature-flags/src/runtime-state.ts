import type { Cause, Changed, FlagShare, RuntimeFlag, Trip } from './table.js'

/** All that was done to flags at run time, but for overrides. Never changed in place. */
export interface RuntimeState {
  /** Grows with each change, whoever makes it. */
  readonly epoch: number
  /** Why every flag is off, if it is. */
  readonly killed: Cause | undefined
  /** The last change of that. */
  readonly killChanged: Changed | undefined
  /** By name, also of flags that this process does not know. */
  readonly flags: ReadonlyMap<string, RuntimeFlag>
  /** Up to which of its changes each process has got through, so that one whose answer was lost is not made again. */
  readonly applied: ReadonlyMap<string, number>
}

/** Nothing was done yet. */
export const untouched: RuntimeState = {
  epoch: 0,
  killed: undefined,
  killChanged: undefined,
  flags: new Map(),
  applied: new Map(),
}

/** Why a flag is changed, by whom, and by which process. */
export interface ChangeCause extends Cause {
  readonly process: string
}

/** A change that can be made to any state: here at once, and to what a store holds when it is reached. */
export interface RuntimeChange {
  /** What it is about: one flag, the switch for all, or overrides, which are kept beside the state. */
  readonly about: { readonly flag: string } | 'all' | 'overrides'
  /** Of several that wait and are alike, about the same, the last one will do. */
  readonly kind: 'disable' | 'enable' | 'percentage' | 'share' | 'trip' | 'try' | 'recover' | 'note'
  /** Whether it switches off: that is done however late, whatever somebody else has done since. */
  readonly isOff: boolean
  /** @returns the state after it; the same one if there is nothing to do */
  apply(state: RuntimeState): RuntimeState
}

/** The last change of what a change is about. */
export function lastChange(state: RuntimeState, { about }: RuntimeChange): Changed | undefined {
  if (about === 'overrides') return undefined
  return about === 'all' ? state.killChanged : state.flags.get(about.flag)?.changed
}

// What is asked for by hand is noted even where it changes nothing: it is newer than what somebody asked for earlier.

/** Switches a flag off by hand. The first reason stays. */
export function disable(flag: string, cause: ChangeCause): RuntimeChange {
  return changeOf('disable', flag, cause, true, (old) => ({ disabled: old?.disabled ?? plainCause(cause) }))
}

/** Lets go of a flag that was disabled or has fallen back. */
export function enable(flag: string, cause: ChangeCause): RuntimeChange {
  return changeOf('enable', flag, cause, false, () => ({ disabled: undefined, fallenBack: undefined }))
}

/** Sets a percentage by hand. */
export function setPercentage(flag: string, percentage: number, cause: ChangeCause): RuntimeChange {
  return changeOf('percentage', flag, cause, percentage === 0, () => ({ percentage }))
}

/** Gives a flag a rollout's share, unless it has one of the same sequence or a later one. */
export function share(flag: string, next: FlagShare, cause: ChangeCause): RuntimeChange {
  const isOff = next.percentage === 0 && next.targetGuilds.length === 0
  return changeOf('share', flag, cause, isOff, (old) =>
    old?.share !== undefined && old.share.sequence >= next.sequence
      ? undefined
      : { share: next, percentage: next.percentage },
  )
}

/** A flag falls back. */
export function trip(flag: string, cause: ChangeCause): RuntimeChange {
  return changeOf('trip', flag, cause, true, (old) =>
    old?.fallenBack === undefined ? { fallenBack: { ...plainCause(cause), trials: 0 } } : undefined,
  )
}

/** A fallen-back flag is about to be tried again, for the n-th time. One of many processes gets this through. */
export function tryAgain(flag: string, trials: number): RuntimeChange {
  return {
    about: { flag },
    kind: 'try',
    isOff: false,
    apply(state) {
      const old = state.flags.get(flag)
      if (old?.fallenBack?.trials !== trials - 1) return state
      return withFlag(state, flag, { ...old, fallenBack: { ...old.fallenBack, trials } })
    },
  }
}

/** A trial succeeded. */
export function recover(flag: string, cause: ChangeCause): RuntimeChange {
  return changeOf('recover', flag, cause, false, (old) =>
    old?.fallenBack === undefined ? undefined : { fallenBack: undefined },
  )
}

/** Switches every flag off. The first reason stays. */
export function killAll(cause: ChangeCause): RuntimeChange {
  return {
    about: 'all',
    kind: 'disable',
    isOff: true,
    apply: (state) => ({
      ...state,
      epoch: state.epoch + 1,
      killed: state.killed ?? plainCause(cause),
      killChanged: { ...cause, epoch: state.epoch + 1 },
    }),
  }
}

/** Gives every flag back to its own rules. */
export function reviveAll(cause: ChangeCause): RuntimeChange {
  return {
    about: 'all',
    kind: 'enable',
    isOff: false,
    apply: (state) => ({
      ...state,
      epoch: state.epoch + 1,
      killed: undefined,
      killChanged: { ...cause, epoch: state.epoch + 1 },
    }),
  }
}

/** An override was written beside the state: whoever sees the epoch knows that there is one to read. */
export function noteOverride(): RuntimeChange {
  return { about: 'overrides', kind: 'note', isOff: false, apply: (state) => ({ ...state, epoch: state.epoch + 1 }) }
}

function changeOf(
  kind: RuntimeChange['kind'],
  flag: string,
  cause: ChangeCause,
  isOff: boolean,
  patch: (old: RuntimeFlag | undefined) => Partial<RuntimeFlag> | undefined,
): RuntimeChange {
  return {
    about: { flag },
    kind,
    isOff,
    apply(state) {
      const old = state.flags.get(flag)
      const changes = patch(old)
      if (changes === undefined) return state
      return withFlag(state, flag, { ...old, ...changes, changed: { ...cause, epoch: state.epoch + 1 } })
    },
  }
}

function plainCause({ why, by, at }: ChangeCause): Cause {
  return { why, by, at }
}

function withFlag(state: RuntimeState, name: string, flag: RuntimeFlag): RuntimeState {
  return { ...state, epoch: state.epoch + 1, flags: new Map(state.flags).set(name, flag) }
}

/** The trip of a flag, if it has fallen back. */
export function tripOf(state: RuntimeState, flag: string): Trip | undefined {
  return state.flags.get(flag)?.fallenBack
}
