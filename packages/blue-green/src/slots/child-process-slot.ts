import { fork, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Link, LinkHooks } from './link.js'
import type { Slot } from './slot.js'
import { WorkerSlot } from './worker-slot.js'
import { readWorkerOptions, type WorkerSlotOptions } from './worker-options.js'
import type { Clock } from '../ports.js'

/** How long the last words of a process that has ended are waited for. Something else may have inherited the channel. */
const lastWordsMs = 250

/** Ends a process whose owner died before it served. `serveVersion` takes this over. */
const orphanGuard =
  'process.once("disconnect",()=>{globalThis[Symbol.for("@evenkeel/blue-green/serving")]||process.exit(1)});process.channel?.unref()'

/** What {@link childProcessSlot} takes. */
export interface ChildProcessSlotOptions<Event> extends WorkerSlotOptions<Event> {
  /** Its working directory; that of this process unless given. */
  readonly cwd?: string | undefined
}

/**
 * A version in a process of its own: the strongest wall between two versions, for it may use up its memory, hang, or be killed.
 *
 * @remarks
 * The process that makes this holds the connection to the chat platform and hands the events over. The file at `entry` calls
 * {@link serveVersion} when it is ready. What it writes to standard output and error appears here.
 *
 * *Gotchas*: events and answers are structured-clone data, so pick what is needed with `toWire`: an interaction of discord.js
 * is full of its client. SIGINT and SIGTERM from outside do not end a serving worker, since a terminal and systemd send them to
 * all processes at once, and the owner first lets it finish; a worker ends when its owner tells it to, or is gone.
 *
 * @param options - the file, the declared effects, and deadlines
 * @returns the slot; nothing runs before `start()`
 * @throws TypeError or RangeError that names the option, its value, and what would do
 *
 * @example
 * ```ts
 * import { childProcessSlot } from '@evenkeel/blue-green/workers'
 *
 * const v2 = childProcessSlot<{ id: string; text: string }, string>({
 *   entry: 'dist/v2.js',
 *   effects: 'keyed',
 *   toWire: ({ id, text }) => ({ id, text }),
 * })
 * ```
 */
export function childProcessSlot<Event = unknown, Answer = unknown>(
  options: ChildProcessSlotOptions<Event>,
): Slot<Event, Answer> {
  const settings = readWorkerOptions('childProcessSlot', options, ['cwd'])
  const { cwd } = options
  if (cwd !== undefined && (typeof cwd !== 'string' || cwd === '')) {
    throw new TypeError(`cwd of childProcessSlot must be a path, not ${String(cwd)}`)
  }
  return new WorkerSlot<Event, Answer>(settings, (hooks) => forkWorker(options, hooks, settings.clock))
}

function forkWorker<Event>(options: ChildProcessSlotOptions<Event>, hooks: LinkHooks, clock: Clock): Link {
  const { entry, args = [], env, execArgv = inheritedArgv(), cwd } = options
  let path: string
  let child: ChildProcess
  try {
    path = String(entry).startsWith('file:') ? fileURLToPath(entry) : String(entry)
    child = fork(path, [...args], {
      execArgv: [...execArgv, '--import', `data:text/javascript,${encodeURIComponent(orphanGuard)}`],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      ...(env !== undefined && { env: { ...env } }),
      ...(cwd !== undefined && { cwd }),
    })
  } catch (error) {
    queueMicrotask(() => hooks.gone({ why: `it could not be started: ${String(error)}`, isCertain: true }))
    return { send: () => {}, end: () => {}, kill: () => {}, hold: () => {} }
  }

  let how: string | undefined
  let isSilent = false
  let isAsked = false
  let isOver = false
  const over = (why: string, isCertain: boolean): void => {
    if (isOver) return
    isOver = true
    hooks.gone({ why, isCertain })
  }
  child.on('message', (message) => hooks.heard(message))
  child.on('disconnect', () => {
    isSilent = true
    if (how !== undefined) over(how, true)
    // It cannot answer any more. Should it be ending by itself, it has ended all the sooner.
    else if (!isAsked) child.kill('SIGKILL')
  })
  child.on('exit', (code, signal) => {
    const file = resolve(cwd ?? '.', path)
    const missing = code !== 0 && !existsSync(file) ? `: there is no file "${file}"` : ''
    how = signal === null ? `it ended with code ${code}${missing}` : `it was ended by ${signal}`
    if (isSilent) return over(how, true)
    const why = how
    clock.after(lastWordsMs, () => over(why, false))
  })
  child.on('error', (error) => {
    // Also told when a message could not be sent or it could not be killed; then it ends in another way, or has.
    if (child.pid === undefined) over(`it could not be started: ${error.message}`, true)
  })
  return {
    send: (message) => {
      if (child.connected) child.send(message, () => {})
    },
    end: () => {
      isAsked = true
      child.kill('SIGTERM')
    },
    kill: () => void child.kill('SIGKILL'),
    hold: (isHeld) => {
      if (isHeld) child.ref()
      else child.unref()
      if (isHeld) child.channel?.ref()
      else child.channel?.unref()
    },
  }
}

/** A debugger listens on one port. */
function inheritedArgv(): string[] {
  return process.execArgv.filter((option) => !option.startsWith('--inspect'))
}
