/** Tells of a metric that is used wrongly. Nobody's command fails because of a number. */
export type Complain = (why: string) => void

/** Becomes a process warning with the code `EVENKEEL_METRICS`, once; a fault that comes back would come with every call. */
export function complainOnce(): Complain {
  let hasComplained = false
  return (why) => {
    if (hasComplained) return
    hasComplained = true
    process.emitWarning(why, { type: 'EvenkeelWarning', code: 'EVENKEEL_METRICS' })
  }
}
