import { createServer } from 'node:http'
import { takeEvents } from '../handover.js'

// A deputy in a process of its own, to be killed and frozen. It says its port, then each event that it begins.

const server = createServer(
  takeEvents<{ text: string }, string>({
    secret: process.env['SECRET'] ?? '',
    handle: ({ text }) => {
      console.log(`begun ${text}`)
      return text === 'hang' ? new Promise(() => {}) : `noted ${text}`
    },
  }),
)
server.listen(0, '127.0.0.1', () => console.log(`port ${(server.address() as { port: number }).port}`))
