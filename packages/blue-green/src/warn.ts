/** Tells of an error in somebody else's function that we must survive. */
export function warn(code: string, what: string, error: unknown): void {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.emitWarning(what, { code, detail })
}
