/** An event as the platform sends it. */
export interface PlatformEvent {
  readonly id: string
  readonly guildId: string
}

/** What a bot says to the platform, one JSON object a line. */
export type BotLine =
  /** It is there, and wants the events of these shards; of none, if it only tells what it does. */
  | { readonly hello: { readonly pid: number; readonly shards: readonly number[] } }
  /** A handler begins. */
  | { readonly begun: string; readonly by: string; readonly atNs: string }
  /** A handler has done its work: this is what users see. */
  | { readonly done: string; readonly by: string }

/** What the platform says to a bot. */
export type PlatformLine = { readonly ready: true } | { readonly event: PlatformEvent }

/** What the harness asks of the platform. */
export type PlatformOrder =
  | { readonly order: 'traffic'; readonly perSecond: number }
  | { readonly order: 'count' }
  | { readonly order: 'begun'; readonly by: string }

/** Of all events so far. */
export interface Count {
  readonly events: number
  /** Nobody has done them. */
  readonly lost: number
  /** Of those, the ones that a handler had begun. */
  readonly cutShort: number
  /** Done more than once. */
  readonly twice: number
  /** The longest time from an event to its first answer, in ms. */
  readonly slowestMs: number
  /** The processes that are connected and want events. */
  readonly sessions: readonly number[]
}

/** What the platform tells the harness. */
export type PlatformNews =
  | { readonly port: number }
  | { readonly count: Count }
  /** When the last event that one of them began was begun, on the clock of the machine, in ns. */
  | { readonly lastNs: string | null; readonly begun: number }

/** Calls back with each line of a stream. */
export function onLines(stream: NodeJS.ReadableStream, heard: (line: never) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) heard(JSON.parse(line) as never)
  })
}
