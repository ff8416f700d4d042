import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { HealthMonitor } from '@evenkeel/health-monitor'
import { healthHandler } from '@evenkeel/health-monitor/http'
import { bundle } from '../flags/bundle.js'
import { measure, print } from '../measure.js'
import type { ServerName } from './server.js'

const CONNECTIONS = 8
const REQUESTS = 20_000
const ROUNDS = 9

const REQUEST = 'GET /ready HTTP/1.1\r\nhost: bot\r\n\r\n'

/** What our own code takes of a request: all but Node's reading and writing. */
async function handlerAlone(): Promise<void> {
  const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
  await health.checkNow()
  const handler = healthHandler(health)
  let bytes = 0
  const asked = { method: 'GET', url: '/ready' } as IncomingMessage
  const response = {
    writeHead: (status: number) => void (bytes += status),
    end: (body: Buffer) => void (bytes += body.length),
  } as unknown as ServerResponse
  const figures = await measure(
    [
      {
        name: 'healthHandler, into a response that does nothing',
        run(count) {
          for (let i = 0; i < count; i++) handler(asked, response)
        },
      },
    ],
    1_000_000,
  )
  print('health: our own part of a request', figures)
  if (bytes < 0) throw new Error('Never: the sum keeps the loops from being optimised away')
}

/** Processor time of the server for one health request, beside one that does nothing but answer. */
export async function request(): Promise<void> {
  await handlerAlone()
  const file = await bundle('health/server')
  const names: readonly ServerName[] = ['bare', 'evenkeel', 'terminus', 'under-pressure']
  const servers = await Promise.all(names.map((name) => start(file, name)))
  for (let round = -2; round < ROUNDS; round++) {
    // They take turns, so that a noisy neighbour disturbs all of them alike.
    for (const server of servers) {
      const before = await server.cpuUs()
      await server.load(REQUESTS)
      const used = (await server.cpuUs()) - before
      if (round >= 0) server.perRequest.push(used / REQUESTS)
    }
  }
  for (const server of servers) server.stop()
  console.log(`\nhealth: one request of /ready, processor time of the server, ${CONNECTIONS} connections`)
  const [floor = []] = servers.map(({ perRequest }) => perRequest)
  for (const { name, perRequest } of servers) {
    const above = median(perRequest.map((us, round) => us - (floor[round] ?? NaN)))
    console.log(
      `  ${name.padEnd(20)} ${at(perRequest, 0.5)} us (${at(perRequest, 0.25)} .. ${at(perRequest, 0.75)}), above bare ${above.toFixed(2)} us`,
    )
  }
}

async function start(file: string, name: ServerName) {
  const child = fork(file, [name], { execArgv: [] })
  const { port = 0 } = await answerOf(child)
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port)))
  return {
    name,
    perRequest: [] as number[],
    async cpuUs() {
      const answer = answerOf(child)
      child.send('cpu')
      return (await answer).cpuUs ?? NaN
    },
    async load(requests: number) {
      await Promise.all(sockets.map((socket) => ask(socket, requests / CONNECTIONS)))
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      child.kill()
    },
  }
}

async function answerOf(child: ChildProcess): Promise<{ port?: number; cpuUs?: number }> {
  const [message] = (await once(child, 'message')) as [{ port?: number; cpuUs?: number }]
  return message
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1')
  await once(socket, 'connect')
  return socket
}

/** One request after the other. */
function ask(socket: Socket, requests: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = requests
    let text = ''
    const receive = (part: string): void => {
      text += part
      const body = text.indexOf('\r\n\r\n')
      if (body === -1) return
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
      if (text.length < body + 4 + length) return
      if (!text.startsWith('HTTP/1.1 200')) return reject(new Error(text))
      text = ''
      if (--left > 0) return void socket.write(REQUEST)
      socket.off('data', receive).off('close', giveUp)
      resolve()
    }
    const giveUp = (): void => reject(new Error('The server closed a connection'))
    socket.once('close', giveUp)
    socket.on('data', receive)
    socket.write(REQUEST)
  })
}

function median(values: readonly number[]): number {
  return sorted(values)[Math.floor((values.length - 1) / 2)] ?? NaN
}

function at(values: readonly number[], ratio: number): string {
  return (sorted(values)[Math.floor((values.length - 1) * ratio)] ?? NaN).toFixed(2)
}

function sorted(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}
