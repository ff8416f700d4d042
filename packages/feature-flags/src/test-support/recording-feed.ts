import type { FlagDocumentError } from '../document-error.js'
import type { FlagFeed } from '../sources.js'

/** Keeps what it is handed, and lets a test wait for it. */
export class RecordingFeed implements FlagFeed {
  readonly documents: unknown[] = []
  readonly problems: FlagDocumentError[] = []
  /** May throw, as the core does for what cannot be. */
  judge: (document: unknown) => void = () => undefined

  apply(document: unknown): void {
    this.judge(document)
    this.documents.push(document)
  }

  refuse(error: Error): void {
    this.problems.push(error as FlagDocumentError)
  }

  get last(): unknown {
    return this.documents.at(-1)
  }
}

/** Lets the event loop turn until it is so. */
export async function until(
  isSo: () => boolean,
  what: string = isSo.toString(),
  withinMs: number = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
