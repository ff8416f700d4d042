import { Worker, type ResourceLimits } from 'node:worker_threads'
import type { Link, LinkHooks } from './link.js'
import type { Slot } from './slot.js'
import { WorkerSlot } from './worker-slot.js'
import { readWorkerOptions, type WorkerSlotOptions } from './worker-options.js'

/** What {@link workerThreadSlot} takes. */
export interface WorkerThreadSlotOptions<Event> extends WorkerSlotOptions<Event> {
  /** How much memory it may use; as much as Node.js gives it unless given. */
  readonly resourceLimits?: ResourceLimits | undefined
}

/**
 * A version in a thread of this process: it starts three times faster than a process, and ends with this process.
 *
 * @remarks
 * As {@link childProcessSlot}, with the same {@link serveVersion} at the other side. A thread that hangs or runs out of memory
 * is ended alone; what brings down the process (a fault in native code, the memory of the machine) brings down both versions. One that
 * is ended while a native module works in it can do that too: where a version has one, a child process is safer.
 *
 * @param options - the file, the declared effects, and deadlines
 * @returns the slot; nothing runs before `start()`
 * @throws TypeError or RangeError that names the option, its value, and what would do
 *
 * @example
 * ```ts
 * import { workerThreadSlot } from '@evenkeel/blue-green/workers'
 *
 * const v2 = workerThreadSlot<{ id: string }, string>({ entry: 'dist/v2.js', effects: 'atMostOnce' })
 * ```
 */
export function workerThreadSlot<Event = unknown, Answer = unknown>(
  options: WorkerThreadSlotOptions<Event>,
): Slot<Event, Answer> {
  const settings = readWorkerOptions('workerThreadSlot', options, ['resourceLimits'])
  return new WorkerSlot<Event, Answer>(settings, (hooks) => startThread(options, hooks))
}

function startThread<Event>(options: WorkerThreadSlotOptions<Event>, hooks: LinkHooks): Link {
  const { entry, args = [], env, execArgv, resourceLimits } = options
  let thread: Worker
  try {
    thread = new Worker(String(entry).startsWith('file:') ? new URL(entry) : entry, {
      argv: [...args],
      ...(env !== undefined && { env: { ...env } }),
      ...(execArgv !== undefined && { execArgv: [...execArgv] }),
      ...(resourceLimits !== undefined && { resourceLimits }),
    })
  } catch (error) {
    queueMicrotask(() => hooks.gone({ why: `it could not be started: ${String(error)}`, isCertain: true }))
    return { send: () => {}, end: () => {}, kill: () => {}, hold: () => {} }
  }
  let thrown: string | undefined
  thread.on('message', (message) => hooks.heard(message))
  thread.on(
    'error',
    (error: unknown) => (thrown = `it threw ${error instanceof Error ? error.message : String(error)}`),
  )
  // Node.js reads what is left in the port before it tells of the end.
  thread.on('exit', (code) => hooks.gone({ why: thrown ?? `it ended with code ${code}`, isCertain: true }))
  return {
    send: (message) => thread.postMessage(message),
    // The message that it shall stop is all that one can ask of a thread.
    end: () => {},
    kill: () => void thread.terminate(),
    hold: (isHeld) => (isHeld ? thread.ref() : thread.unref()),
  }
}
