import { appendFileSync, existsSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { serveVersion } from '../slots-workers.js'
import { beOdd, isOdd, type Odd } from './odd-versions.js'

/*
 * A version that does what its events say. How it begins is its first argument, its log its second:
 *
 *   slot-worker-child <serve | exit | throw | silent | slow-drain | failing-drain | own-sigterm> [file to append to]
 */
const [how = 'serve', log] = process.argv.slice(2)

/** An event of the tests. */
export interface Task {
  readonly id?: string
  readonly does?: 'answer' | 'throw' | 'hang' | 'block' | 'exit' | 'kill' | 'hold' | 'closure' | 'store' | 'say' | Odd
  /** `hold` ends when this file is there. */
  readonly until?: string
  /** What `say` sends to the owner past `serveVersion`. */
  readonly value?: unknown
}

const write = (line: string): void => {
  if (log !== undefined) appendFileSync(log, `${line}\n`)
}

async function handle(task: Task, { eventId, isRepeat }: { eventId: string | undefined; isRepeat: boolean }) {
  write(`begun ${task.id} ${isRepeat}`)
  if (isOdd(task.does)) return beOdd(task.does)
  switch (task.does ?? 'answer') {
    case 'answer':
      return { id: task.id, eventId, isRepeat, value: task.value, pid: process.pid }
    case 'throw':
      throw Object.assign(new RangeError('no such command'), { code: 'USER', retryable: true })
    case 'hang':
      return new Promise(() => setInterval(() => undefined, 1_000))
    case 'block':
      for (;;);
    case 'exit':
      process.exit(3)
    // eslint-disable-next-line no-fallthrough -- process.exit does not return
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      return new Promise(() => undefined)
    case 'say':
      if (parentPort === null) process.send?.(task.value)
      else parentPort.postMessage(task.value)
      return new Promise(() => undefined)
    case 'closure':
      return { member: { client: () => undefined } }
    case 'store':
      await new Promise((resolve) => setTimeout(resolve, 3))
      write(`done ${task.id}`)
      return { id: task.id, eventId, isRepeat }
    case 'hold':
      while (!existsSync(task.until ?? '')) await new Promise((resolve) => setTimeout(resolve, 5))
      write(`done ${task.id}`)
      return { id: task.id, eventId, isRepeat, pid: process.pid }
  }
}

if (how === 'exit') process.exit(7)
if (how === 'throw') throw new Error('no database')
if (how === 'silent') setInterval(() => undefined, 1_000)
if (how === 'own-sigterm') {
  process.once('SIGTERM', () => {
    write('own SIGTERM')
    process.exit(0)
  })
}
if (how !== 'silent') {
  serveVersion(handle, {
    onDrain: async () => {
      write('onDrain')
      if (how === 'slow-drain') await new Promise(() => undefined)
      if (how === 'failing-drain') throw new Error('the disk is full')
    },
  })
}
