import { readdirSync, readFileSync } from 'node:fs'
import { childProcessSlot } from '../slots-workers.js'

/*
 * An owner that is killed while its worker is at work. It says the process id of the worker.
 *
 *   slot-owner-child <worker's file> <how the worker begins> <the worker's log> <the file that ends its event>
 */
const [entry = '', how = '', log = '', gate = ''] = process.argv.slice(2)
const worker = childProcessSlot<unknown, { pid: number }>({ entry, args: [how, log], effects: 'stored', execArgv: [] })

/** As the system tells it, for a worker that is not ready has told nothing. */
function childPid(): string | undefined {
  return readdirSync('/proc').find((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return (
        readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ')[1] === String(process.pid)
      )
    } catch {
      return false
    }
  })
}

worker.start().catch((error: unknown) => console.error(error))
if (how === 'serve') {
  void worker.handle({ id: 'held', does: 'hold', until: gate })
  void worker.handle({ id: 'pid' }).then(({ pid }) => console.log(pid))
} else {
  // Long enough for the guard to be preloaded.
  setTimeout(() => console.log(childPid()), 500)
}
