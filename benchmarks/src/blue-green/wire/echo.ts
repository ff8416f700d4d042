import { parentPort } from 'node:worker_threads'

// The program of a process or a thread that sends back what it gets; once more before that when it is told to, as a version does
// that says when it begins.

const [messages] = process.argv.slice(2)
const isTwice = messages === 'twice'
const port = parentPort

/** What comes and goes. */
export interface Echoed {
  readonly n: number
  readonly event: unknown
  readonly isBegun?: boolean
}

if (port === null) {
  process.on('message', (message: Echoed) => {
    if (isTwice) process.send?.({ n: message.n, isBegun: true })
    process.send?.(withCpu(message))
  })
} else {
  port.on('message', (message: Echoed) => {
    if (isTwice) port.postMessage({ n: message.n, isBegun: true })
    port.postMessage(message)
  })
}

/** An event that asks for it hears how much processor time this process has used, in microseconds. */
function withCpu(message: Echoed): Echoed {
  if (message.event !== 'cpu') return message
  const { user, system } = process.cpuUsage()
  return { n: message.n, event: user + system }
}
