import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { LiveMessage, LiveSettings } from './live-messages.js'

/** The memory that the thread may use; it needs a tenth of it. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }

/** What became of a thread. */
export interface LiveThread {
  readonly worker: Worker
  /** The port it listens on; rejects when it cannot, with what the system said, or when it ends before. */
  readonly listening: Promise<number>
  /** Why it has ended. */
  readonly ended: Promise<string>
}

/** Starts the thread. Until it listens it keeps the process alive, and then no more. */
export function startThread(settings: LiveSettings): LiveThread {
  const worker = newWorker(settings)
  let endWith!: (why: string) => void
  const ended = new Promise<string>((resolve) => (endWith = resolve))
  const listening = new Promise<number>((resolve, reject) => {
    worker.on('message', (message: LiveMessage) => {
      worker.unref()
      if (message.type === 'listening') resolve(message.port)
      else reject(Object.assign(new Error(message.message), { code: message.code }))
    })
    void ended.then((why) => reject(new Error(why)))
  })
  worker.on('error', (error: unknown) => endWith(error instanceof Error ? error.message : String(error)))
  worker.on('exit', (code) => endWith(`the thread ended with code ${code}`))
  return { worker, listening, ended }
}

/** Its program lies beside this one, in the same format; what one may preload, the other does without. */
function newWorker(workerData: LiveSettings): Worker {
  const here = typeof __filename === 'string' ? __filename : fileURLToPath(import.meta.url)
  const options = { workerData, name: 'evenkeel-live', execArgv: [], env: {}, trackUnmanagedFds: false }
  const extension = extname(here)
  if (extension !== '.ts') {
    return new Worker(join(dirname(here), `live-worker${extension}`), { ...options, resourceLimits: LIMITS })
  }
  // From the sources, as the tests run them: a thread reads TypeScript only with the help of tsx, which is at hand there.
  const program = join(dirname(here), '..', 'live-worker.ts')
  const tsx = createRequire(here).resolve('tsx/cjs/api')
  const code = `require(${JSON.stringify(tsx)}).register(); require(${JSON.stringify(program)})`
  return new Worker(code, { ...options, eval: true })
}
