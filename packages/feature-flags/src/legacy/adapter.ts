import type { AnyFunction, Deprecation } from './deprecation.js'

/** The names of the methods of an interface; optional ones too. */
export type MethodKey<Old> = {
  [K in keyof Old]-?: NonNullable<Old[K]> extends AnyFunction ? K : never
}[keyof Old]

/**
 * What serves each method of an old interface: a function, or one with the name of what to use in its place. Every
 * method must be there, unless the interface itself may lack it.
 */
export type AdapterMethods<Old> = {
  readonly [K in keyof Old as K extends MethodKey<Old> ? K : never]:
    | Old[K]
    | {
        /** What serves the method. */
        readonly fn: NonNullable<Old[K]>
        /** What to use in place of the method. */
        readonly instead: string
      }
}

/** What gives each of the other properties of an old interface. */
export type AdapterValues<Old> = {
  readonly [K in keyof Old as K extends MethodKey<Old> ? never : K]: () => Old[K]
}

/** An old interface, and what serves it. */
export type Adapter<Old extends object> = Deprecation & {
  /** What serves each method. `this` is the adapter, as it was the old object. */
  readonly methods: AdapterMethods<Old> & ThisType<Old>
} & ([keyof AdapterValues<Old>] extends [never]
    ? {
        /** The interface has methods only. */
        readonly values?: never
      }
    : {
        /** What gives each property that is no method, whenever it is read. */
        readonly values: AdapterValues<Old>
      })
