import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { childProcessSlot, workerThreadSlot } from '@evenkeel/blue-green/workers'
import { bundle } from '../flags/bundle.js'
import { measure, print, type Candidate } from '../measure.js'
import type { Echoed } from './wire/echo.js'

const AT_ONCE = 32
/** For the processor time of the other side. */
const MANY = 20_000

/** Somebody who answers. */
interface Peer {
  readonly name: string
  readonly isProcess: boolean
  ask(event: unknown): Promise<unknown>
  end(): Promise<unknown>
}

/** An event to a version in a process or a thread of its own and back, beside the bare way there and back. */
export async function wire(): Promise<void> {
  const echo = await bundle('blue-green/wire/echo')
  const entry = await bundle('blue-green/wire/version')
  const peers = [
    await bareProcess('floor: fork, echo', echo, 'once'),
    await bareProcess('fork, echo in two messages', echo, 'twice'),
    await slotted('evenkeel childProcessSlot', true, childProcessSlot({ entry, effects: 'atMostOnce' })),
    await bareThread('thread, echo', echo, 'once'),
    await bareThread('thread, echo in two messages', echo, 'twice'),
    await slotted('evenkeel workerThreadSlot', false, workerThreadSlot({ entry, effects: 'atMostOnce' })),
  ]
  for (const [size, event] of [
    ['200 bytes', command(40)],
    ['1.8 kB', command(1_640)],
  ] as const) {
    const each = (run: (peer: Peer, count: number) => Promise<void>): Candidate[] =>
      peers.map((peer) => ({ name: peer.name, run: (count) => run(peer, count) }))
    const oneByOne = async (peer: Peer, count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await peer.ask(event)
    }
    print(`wire: an event of ${size} there and back, one by one`, await measure(each(oneByOne), 2_000))
    const together = (peer: Peer, count: number): Promise<void> => inLanes(peer, count, event)
    print(`wire: the same, ${AT_ONCE} at once`, await measure(each(together), 5_000))
    console.log(`  processor time of the other process for an event, ${AT_ONCE} at once`)
    for (const peer of peers.filter(({ isProcess }) => isProcess)) {
      const before = Number(await peer.ask('cpu'))
      await inLanes(peer, MANY, event)
      const usedUs = Number(await peer.ask('cpu')) - before
      console.log(`  ${peer.name.padEnd(44)} cpu ${(usedUs / MANY).toFixed(1).padStart(9)} us`)
    }
  }
  await Promise.all(peers.map((peer) => peer.end()))
}

async function inLanes(peer: Peer, count: number, event: unknown): Promise<void> {
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await peer.ask(event)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

function command(chars: number): unknown {
  return {
    id: '1149300120345612288',
    guildId: '81384788765712384',
    userId: '53908099506183680',
    name: 'search',
    options: [{ name: 'query', value: 'x'.repeat(chars) }],
  }
}

/** Those who wait for their echo. */
class Waiting {
  readonly #resolve = new Map<number, (event: unknown) => void>()
  #n = 0

  ask(event: unknown, send: (message: Echoed) => void): Promise<unknown> {
    const n = ++this.#n
    return new Promise((resolve) => {
      this.#resolve.set(n, resolve)
      send({ n, event })
    })
  }

  heard({ n, event, isBegun }: Echoed): void {
    if (isBegun === true) return
    this.#resolve.get(n)?.(event)
    this.#resolve.delete(n)
  }
}

async function bareProcess(name: string, file: string, messages: string): Promise<Peer> {
  const child = fork(file, [messages], { serialization: 'advanced' })
  await once(child, 'spawn')
  const waiting = new Waiting()
  child.on('message', (message: Echoed) => waiting.heard(message))
  return {
    name,
    isProcess: true,
    ask: (event) => waiting.ask(event, (message) => void child.send(message)),
    end: async () => void child.kill(),
  }
}

async function bareThread(name: string, file: string, messages: string): Promise<Peer> {
  const worker = new Worker(file, { argv: [messages] })
  await once(worker, 'online')
  const waiting = new Waiting()
  worker.on('message', (message: Echoed) => waiting.heard(message))
  return {
    name,
    isProcess: false,
    ask: (event) => waiting.ask(event, (message) => worker.postMessage(message)),
    end: () => worker.terminate(),
  }
}

async function slotted(name: string, isProcess: boolean, slot: ReturnType<typeof childProcessSlot>): Promise<Peer> {
  await slot.start()
  return { name, isProcess, ask: (event) => slot.handle(event), end: () => slot.stop() }
}
