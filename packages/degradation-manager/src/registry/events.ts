import type { News } from '../events.js'

/** Whoever asks without a context is served by another implementation from now on. */
export interface RegistryChange<Name extends string = string> extends News {
  /** The registry. */
  readonly what: string
  /** What served before; `none` when nothing did. */
  readonly from: Name | 'none'
  /** What serves from now on; `none` when nothing does. */
  readonly to: Name | 'none'
}

/** One call failed, and the next implementation was tried. */
export interface RegistryFallback<Name extends string = string> extends News {
  /** The function of the port. */
  readonly what: string
  /** What failed. */
  readonly from: Name
  /** What was tried next. */
  readonly to: Name
  /** What it failed with. */
  readonly error: unknown
}

/** The events of a {@link Registry}. */
export interface RegistryEvents<Name extends string = string> {
  /** The choice without a context has changed. */
  change: [change: RegistryChange<Name>]
  /** One call failed, and the next implementation was tried. */
  fallback: [fallback: RegistryFallback<Name>]
}
