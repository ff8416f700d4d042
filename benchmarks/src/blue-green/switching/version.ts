import { threadId } from 'node:worker_threads'
import { serveVersion } from '@evenkeel/blue-green/workers'
import type { PlatformEvent } from './messages.js'
import { Session } from './session.js'

// A version in a process or a thread of its own, whose owner has the connection for events.

const [port] = process.argv.slice(2)
const session = new Session(Number(port), [], `${process.pid}.${threadId}`)
serveVersion((event: PlatformEvent) => session.handle(event), { onDrain: () => session.ended() })
