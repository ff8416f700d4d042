import type { ServerLimits } from './listening.js'

/** What the thread of a `LiveServer` is started with. */
export interface LiveSettings {
  readonly port: number
  readonly host: string | undefined
  readonly path: string
  readonly liveAfterMs: number
  readonly limits: Required<ServerLimits>
  /** One 32-bit number, which changes with each beat. */
  readonly beat: SharedArrayBuffer
}

/** What it says. */
export type LiveMessage =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'refused'; readonly code: string | undefined; readonly message: string }

/** How often the main thread gives a sign of life, and the other looks for it, in ms. */
export const BEAT_MS = 100
