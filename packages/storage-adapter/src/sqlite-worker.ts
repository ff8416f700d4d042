import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { News } from './events.js'
import { nodeFiles } from './file/file-ops.js'
import { SqliteBackend } from './sqlite/sqlite-backend.js'
import {
  encodeError,
  type WorkerAnswer,
  type WorkerCalls,
  type WorkerMessage,
  type WorkerRequest,
  type WorkerSettings,
} from './sqlite/sqlite-worker-messages.js'
import { systemClock } from './system-clock.js'

// The program of the thread that a SqliteStorage with `worker: true` starts.

type Handlers = { [Name in keyof WorkerCalls]: (id: number, ...parameters: WorkerCalls[Name]) => unknown }

function serve(port: MessagePort, settings: WorkerSettings): void {
  const backend = new SqliteBackend({ ...settings, clock: systemClock, files: nodeFiles })
  const checks = new Map<number, AbortController>()
  let answers: WorkerAnswer[] = []
  let stopWatching: (() => void) | undefined

  const say = (message: WorkerMessage): void => port.postMessage(message)

  /** Those that come together, as all of one group commit do, go together: a message costs more than a read. */
  const answer = (one: WorkerAnswer): void => {
    if (answers.push(one) > 1) return
    queueMicrotask(() => {
      say({ type: 'answers', answers, busyWaits: backend.gauges()['busy.waits'] ?? 0 })
      answers = []
    })
  }

  const handlers: Handlers = {
    open: () => backend.open((event, news) => say({ type: 'news', event, news: news as Omit<News, 'at'> })),
    close: () => backend.close(),
    read: (_, ...parameters) => backend.read(...parameters),
    page: (_, ...parameters) => backend.page(...parameters),
    count: (_, ...parameters) => backend.count(...parameters),
    collections: (_, now) => backend.collections(now),
    commit: (_, ...parameters) => backend.commit(...parameters),
    changes: (_, ...parameters) => backend.log.changes(...parameters),
    health: () => backend.health(),
    check: (id) => {
      const ending = new AbortController()
      checks.set(id, ending)
      return backend.check(ending.signal).finally(() => checks.delete(id))
    },
    endCheck: (_, check) => checks.get(check)?.abort(),
    watch: (_, isWatched) => {
      stopWatching?.()
      stopWatching = isWatched ? backend.log.onHint(() => say({ type: 'hint' })) : undefined
    },
  }

  const handle = async ({ id, name, parameters }: WorkerRequest): Promise<void> => {
    const run = handlers[name] as (id: number, ...parameters: readonly unknown[]) => unknown
    try {
      answer({ id, value: await run(id, ...parameters) })
    } catch (error) {
      answer({ id, error: encodeError(error) })
    }
  }

  port.on('message', (requests: readonly WorkerRequest[]) => {
    for (const request of requests) void handle(request)
  })
}

if (parentPort !== null) serve(parentPort, workerData as WorkerSettings)
