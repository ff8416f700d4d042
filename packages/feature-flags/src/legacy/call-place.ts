/** How many frames are looked through for one that is somebody's code. */
const maxFrames = 12

/** Keeps a place that the engine describes at length, such as one in evaluated code, from being kept at length. */
const maxLength = 500

/**
 * Where a function was called from, as its stack says it: `handle (/bot/search.js:12:5)`. `undefined` where there is no
 * stack to read, because the program replaced how stacks are written.
 *
 * @param callee - the function that was called; it and what it calls are left out
 */
export function callPlace(callee: (...args: never[]) => unknown): string | undefined {
  // One frame is nearly always enough, and the fewer the cheaper.
  const [nearest] = frames(callee, 1)
  if (nearest === undefined || isSomebodys(nearest)) return nearest
  return frames(callee, maxFrames).find(isSomebodys) ?? nearest
}

/** A call through `list.map(old)` or an emitter comes from the engine or from Node, which tells nobody anything. */
function isSomebodys(frame: string): boolean {
  return !frame.includes('<anonymous>') && !/(?:^|\()node:/.test(frame) && !frame.startsWith('native ')
}

function frames(callee: (...args: never[]) => unknown, limit: number): string[] {
  const stack = withLimit(limit, () => {
    const holder: { stack?: unknown } = {}
    Error.captureStackTrace(holder, callee)
    return holder.stack
  })
  if (typeof stack !== 'string') return []
  return [...stack.matchAll(/^ +at (.+)$/gm)].map(([, frame = '']) => frame.slice(0, maxLength))
}

function withLimit<T>(limit: number, run: () => T): T {
  const before = Error.stackTraceLimit
  try {
    Error.stackTraceLimit = limit
  } catch {
    // Where the language's own objects are frozen the stack is as long as it is.
  }
  try {
    return run()
  } finally {
    if (Error.stackTraceLimit !== before) Error.stackTraceLimit = before
  }
}
