import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Standin } from './contract.js'

/** Where a stand-in is operated from outside, at the address where it also plays Discord. */
export const controlPath = '/_control'

/** What can be asked for: each takes at most one argument, and all of it is JSON. */
type ControlMethod = 'command' | 'press' | 'ask' | 'traffic' | 'inject' | 'clear' | 'ledger'
const controlMethods: ReadonlySet<string> = new Set<ControlMethod>([
  'command',
  'press',
  'ask',
  'traffic',
  'inject',
  'clear',
  'ledger',
])

/** Answers `POST /_control/<method>` with the argument as its JSON body. */
export async function handleControl(
  standin: Standin,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = (request.url ?? '').slice(controlPath.length + 1)
  if (request.method !== 'POST' || !isControlMethod(method)) {
    return reply(response, 404, {
      name: 'TypeError',
      message: `POST ${controlPath}/ one of ${[...controlMethods].join(', ')}`,
    })
  }
  // A web page may post to any address, but not JSON to one that does not invite it.
  if (request.headers['content-type'] !== 'application/json') {
    return reply(response, 415, { name: 'TypeError', message: 'The body must be application/json' })
  }
  try {
    reply(response, 200, (await call(standin, method, await readJson(request))) ?? null)
  } catch (error) {
    const { name, message } = error as Error
    reply(response, 400, { name, message })
  }
}

/**
 * Calls a method of a stand-in that listens at this address.
 *
 * @throws what the method throws, or Error when nothing listens there
 */
export async function callControl(api: string, method: ControlMethod, argument?: unknown): Promise<unknown> {
  const response = await fetch(new URL(`${controlPath}/${method}`, api), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(argument ?? null),
  }).catch((cause: unknown) => {
    throw new Error(`${method}: no stand-in answers at ${api}; it has been stopped, or its process has ended`, {
      cause,
    })
  })
  const result: unknown = await response.json()
  if (!response.ok) throw revive(result as { name: string; message: string })
  return result
}

function call(standin: Standin, method: ControlMethod, argument: unknown): Promise<unknown> {
  const run = standin[method].bind(standin) as (argument?: unknown) => Promise<unknown>
  return run(argument ?? undefined)
}

function isControlMethod(method: string): method is ControlMethod {
  return controlMethods.has(method)
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

function revive({ name, message }: { name: string; message: string }): Error {
  if (name === 'RangeError') return new RangeError(message)
  if (name === 'TypeError') return new TypeError(message)
  return new Error(message)
}
