import { createServer, type AddressInfo, type Socket } from 'node:net'
import { onLines, type BotLine, type Count, type PlatformNews, type PlatformOrder } from './messages.js'

// The program of a process that is the chat platform, and the ledger of what became of its events. Like Discord, it sends each event
// to every session of its shard, once, and to nobody when there is no session.

const SHARDS = 2
const TICK_MS = 2

interface Entry {
  readonly sentMs: number
  begun: number
  done: number
  doneMs: number
}

interface Bot {
  readonly socket: Socket
  pid: number
  shards: readonly number[]
}

const ledger = new Map<string, Entry>()
const bots = new Set<Bot>()
/** The last beginnings, by who began. */
const beginnings = new Map<string, { lastNs: string; begun: number }>()
let sent = 0
let timer: NodeJS.Timeout | undefined

const server = createServer((socket) => {
  const bot: Bot = { socket, pid: 0, shards: [] }
  bots.add(bot)
  socket.setNoDelay(true)
  socket.on('error', () => undefined)
  socket.on('close', () => bots.delete(bot))
  onLines(socket, (line: BotLine) => hear(bot, line))
})
server.listen(0, '127.0.0.1', () => tell({ port: (server.address() as AddressInfo).port }))

function hear(bot: Bot, line: BotLine): void {
  if ('hello' in line) {
    bot.pid = line.hello.pid
    bot.shards = line.hello.shards
    bot.socket.write(`${JSON.stringify({ ready: true })}\n`)
    return
  }
  const entry = ledger.get('begun' in line ? line.begun : line.done)
  if (entry === undefined) return
  if ('begun' in line) {
    entry.begun += 1
    const { begun = 0 } = beginnings.get(line.by) ?? {}
    beginnings.set(line.by, { lastNs: line.atNs, begun: begun + 1 })
    return
  }
  entry.done += 1
  if (entry.done === 1) entry.doneMs = performance.now()
}

function send(): void {
  const id = String(++sent)
  const shard = sent % SHARDS
  const line = `${JSON.stringify({ event: { id, guildId: String(sent % 997) } })}\n`
  ledger.set(id, { sentMs: performance.now(), begun: 0, done: 0, doneMs: 0 })
  for (const { socket, shards } of bots) if (shards.includes(shard)) socket.write(line)
}

function flow(perSecond: number): void {
  clearInterval(timer)
  const beganMs = performance.now()
  let already = 0
  if (perSecond === 0) return
  timer = setInterval(() => {
    for (const due = ((performance.now() - beganMs) / 1_000) * perSecond; already < due; already++) send()
  }, TICK_MS)
}

function count(): Count {
  const entries = [...ledger.values()]
  const lost = entries.filter(({ done }) => done === 0)
  return {
    events: entries.length,
    lost: lost.length,
    cutShort: lost.filter(({ begun }) => begun > 0).length,
    twice: entries.filter(({ done }) => done > 1).length,
    slowestMs: entries.reduce((slowest, { sentMs, doneMs }) => Math.max(slowest, doneMs - sentMs), 0),
    sessions: [...bots].filter(({ shards }) => shards.length > 0).map(({ pid }) => pid),
  }
}

process.on('message', (message: PlatformOrder) => {
  switch (message.order) {
    case 'traffic':
      return flow(message.perSecond)
    case 'count':
      return tell({ count: count() })
    case 'begun': {
      const { lastNs = null, begun = 0 } = beginnings.get(message.by) ?? {}
      return tell({ lastNs, begun })
    }
  }
})
process.on('disconnect', () => process.exit())

function tell(news: PlatformNews): void {
  process.send?.(news)
}
