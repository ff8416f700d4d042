import type { FlagContext } from '../context.js'

/** The flags that decide whether a replacement serves: a `FeatureFlags`, or anything of this shape. */
export interface SwitchFlags {
  /** Whether there is a flag of this name. */
  has(name: string): boolean
  /** Whether it is on for a guild or a user. */
  isEnabled(name: string, context?: FlagContext): boolean
}

/** Where dates come from. */
export interface WallClock {
  /** Wall time in epoch ms. It dates uses. */
  now(): number
}
