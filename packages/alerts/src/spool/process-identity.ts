import { readFileSync, readlinkSync } from 'node:fs'

/** Which process, beyond its number: numbers are used again. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it was started, in ticks since the machine was. Linux only. */
  readonly startTicks: string | undefined
  /** Which start of the machine. Linux only. */
  readonly bootId: string | undefined
  /** Within which set of process numbers; each container has its own. Linux only. */
  readonly pidNamespace: string | undefined
}

/** This process. */
export function identifySelf(): ProcessIdentity {
  return {
    pid: process.pid,
    startTicks: startTicks(process.pid),
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
  }
}

/**
 * Whether the process runs still. `unknown` when it belongs to another container, whose processes cannot be seen.
 */
export function isAlive(other: ProcessIdentity): boolean | 'unknown' {
  const self = identifySelf()
  if (other.bootId !== self.bootId) return false
  if (other.pidNamespace !== self.pidNamespace) return 'unknown'
  try {
    process.kill(other.pid, 0)
  } catch (error) {
    // EPERM says that it exists and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const ticks = startTicks(other.pid)
  return ticks === undefined || other.startTicks === undefined || ticks === other.startTicks
}

/** The 22nd field of `stat`; the second, the name, may itself hold blanks and parentheses. */
function startTicks(pid: number): string | undefined {
  return attempt(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  })
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
