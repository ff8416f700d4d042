import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { nodeListener } from '../slots-http.js'

/** Serves a web-standard handler by real HTTP. */
export async function serveFetch(
  handle: (request: Request) => Promise<Response>,
): Promise<{ readonly url: string; readonly server: Server; close(): void }> {
  const server = createServer(nodeListener(handle))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = (): void => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${port}/events`, server, close }
}
