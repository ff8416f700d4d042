import type { HealthCheck } from '../check-result.js'
import { requireKnown } from '../options.js'
import { onDemand } from './on-demand.js'
import type { Verdict } from './verdict.js'

/** Which process {@link processCheck} looks at: by its number, or by the file that it wrote its number to. */
export type ProcessCheckOptions =
  | {
      /** The process's number, above 0. */
      readonly pid: number
      /** Not both. */
      readonly pidFile?: never
    }
  | {
      /** The path of a file with the process's number in its first line. It is read at each look. */
      readonly pidFile: string
      /** Not both. */
      readonly pid?: never
    }

/** A process as it was seen. */
interface Seen {
  readonly pid: number
  /** When it started, in ticks since the machine did; `undefined` where the system does not tell. */
  readonly startedTicks: string | undefined
}

/**
 * Looks whether a process is alive, and still the same: numbers of processes are used again.
 *
 * @remarks
 * A process that has ended and was not fetched by its parent (a zombie) is down. That another process has the number now
 * is seen by its start, on Linux only, and only if it happened between two looks: a file that was left by a dead process
 * and names a stranger at the first look is believed. A file with a new number is a restart, and is up.
 *
 * @param options - the number, or the file
 * @returns the check
 * @throws TypeError when there is neither or both, or an option does not exist or is of another type
 * @throws RangeError when the number is out of range
 *
 * @example
 * ```ts
 * import { HealthMonitor, processCheck } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({ checks: { worker: { check: processCheck({ pid: process.pid }) } } })
 * console.log((await health.check('worker')).status) // => up
 * ```
 */
export function processCheck(options: ProcessCheckOptions): HealthCheck {
  requireKnown('processCheck', options, ['pid', 'pidFile'])
  const { pid, pidFile } = options
  if ((pid === undefined) === (pidFile === undefined)) throw new TypeError('processCheck: give either pid or pidFile')
  if (pid !== undefined) requirePid(pid)
  else if (typeof pidFile !== 'string' || pidFile === '') throw new TypeError('processCheck: pidFile must be a path')
  let before: Seen | undefined
  return async () => {
    const number = pid ?? Number(/^\s*(\d+)\s*(?:\n|$)/.exec(await readText(pidFile))?.[1] ?? NaN)
    if (!isPid(number)) return { status: 'down', reason: `${pidFile} holds no number of a process` }
    if (!isAlive(number)) return { status: 'down', reason: `process ${number} does not exist` }
    const { state, startedTicks } = await readStat(number)
    const verdict = judgeProcess({ pid: number, startedTicks }, state, before)
    // Once a stranger has the number, the process that was meant does not come back to it.
    if (verdict.status === 'up' || before?.pid !== number) before = { pid: number, startedTicks }
    return verdict
  }
}

/** What it means that a process is in this state, after it was last seen as `before`. */
export function judgeProcess(
  { pid, startedTicks }: Seen,
  state: string | undefined,
  before: Seen | undefined,
): Verdict {
  if (state === 'Z' || state === 'X') {
    return { status: 'down', reason: `process ${pid} has ended, and its parent has not noticed` }
  }
  const isKnown = before?.pid === pid && before.startedTicks !== undefined && startedTicks !== undefined
  if (isKnown && startedTicks !== before.startedTicks)
    return { status: 'down', reason: `process ${pid} has ended, and another one has its number now` }
  return { status: 'up', reason: `process ${pid} is alive` }
}

/** Signal 0 only asks. A process of somebody else is alive, too. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the state is field 3, the start field 22 */
async function readStat(pid: number): Promise<{ state: string | undefined; startedTicks: string | undefined }> {
  const text = await readText(`/proc/${pid}/stat`).catch(() => '')
  // The name, field 2, may contain anything, spaces and brackets too.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return text === '' ? { state: undefined, startedTicks: undefined } : { state: fields[0], startedTicks: fields[19] }
}

function readText(path: string): Promise<string> {
  return onDemand('node:fs/promises').readFile(path, 'utf8')
}

function requirePid(pid: unknown): void {
  if (typeof pid !== 'number') throw new TypeError(`processCheck: pid must be a number, not a ${typeof pid}`)
  if (!isPid(pid)) throw new RangeError(`processCheck: pid must be a whole number above 0, not ${pid}`)
}

/** To signal 0 or a negative number would be to signal a whole group. */
function isPid(pid: number): boolean {
  return Number.isInteger(pid) && pid > 0 && pid <= 2 ** 31 - 1
}
