import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { answerToMethod, jsonAnswer, NOT_FOUND, pathOf, send } from './http/answer.js'
import { BeatWatch } from './http/beat-watch.js'
import { BEAT_MS, type LiveMessage, type LiveSettings } from './http/live-messages.js'
import { limitedServer, listen } from './http/listening.js'
import { systemClock } from './system-clock.js'

// The program of the thread that a LiveServer starts. It answers while the main thread cannot.

const ALIVE = jsonAnswer(200, { status: 'up' })
const BLOCKED = jsonAnswer(503, { status: 'down' })

async function serve(port: MessagePort, settings: LiveSettings): Promise<void> {
  const beat = new Int32Array(settings.beat)
  const watch = new BeatWatch(Atomics.load(beat, 0), systemClock.monotonic())
  const silentMs = (): number => watch.look(Atomics.load(beat, 0), systemClock.monotonic())
  const say = (message: LiveMessage): void => port.postMessage(message)

  // Only who looks all the time notices that it did not run itself.
  const keepLooking = (): void => {
    silentMs()
    systemClock.after(BEAT_MS, keepLooking)
  }
  keepLooking()

  const server = limitedServer((request, response) => {
    if (pathOf(request.url ?? '') !== settings.path) return send(response, NOT_FOUND)
    const answer = answerToMethod(request.method) ?? (silentMs() < settings.liveAfterMs ? ALIVE : BLOCKED)
    send(response, answer)
  }, settings.limits)
  try {
    say({ type: 'listening', port: await listen(server, settings.port, settings.host) })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    say({ type: 'refused', code, message })
  }
}

if (parentPort !== null) void serve(parentPort, workerData as LiveSettings)
