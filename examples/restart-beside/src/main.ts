import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'

interface Message {
  readonly id: string
  readonly guildId: string
}

/** One process of the bot. Two of them share a store, and agree there on who handles which event. */
async function bot(version: string): Promise<void> {
  const storage = new SqliteStorage({ path: 'data/bot.db' })
  await storage.start()
  const restart = new GaplessRestart({
    version,
    handle: async ({ id }: Message) => void process.send?.({ answered: id }),
    context: ({ id, guildId }) => ({ eventId: id, guildId }),
    effects: 'keyed', // an answer carries the id of its event
    store: storage.collection('evenkeel'),
  })
  await restart.start()
  process.on('message', (message: Message) => void restart.handle(message).catch(console.error))
  process.send?.('online') // only now: the old process knows of this one, and claims what it handles
  await restart.takeOver()
  process.send?.('ready') // to the process manager
  await once(process, 'SIGTERM')
  await restart.drain() // hands over, and ends what runs
  await restart.stop()
  await storage.stop()
  process.disconnect()
}

/** The chat platform, which sends each event to both processes, and the process manager, which starts and ends them. */
async function platform(): Promise<void> {
  await mkdir('data', { recursive: true })
  const answers = new Map<string, string[]>()
  const sessions = new Set<ChildProcess>()
  async function start(version: string): Promise<ChildProcess> {
    const child = fork(fileURLToPath(import.meta.url), [version])
    const isReady = new Promise((resolve) => {
      child.on('message', (said: 'online' | 'ready' | { readonly answered: string }) => {
        if (said === 'online') sessions.add(child)
        else if (said === 'ready') resolve(said)
        else answers.get(said.answered)?.push(version)
      })
    })
    await isReady
    return child
  }
  async function end(child: ChildProcess): Promise<void> {
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    await exit
    sessions.delete(child)
  }

  function send(id: string): void {
    answers.set(id, [])
    // One that goes in this very moment does not get it; the other one has it.
    for (const session of sessions) if (session.connected) session.send({ id, guildId: '7' }, () => {})
  }

  const before = await start('1.0.0')
  let isOver = false
  const traffic = (async () => {
    for (let n = 0; !isOver; n++) {
      send(String(n))
      await sleep(2)
    }
  })()
  await sleep(100)
  const after = await start('1.1.0') // beside the old one, under traffic
  await end(before)
  await sleep(100)
  isOver = true
  await traffic
  send('last')
  while (answers.get('last')?.length === 0) await sleep(5)
  await end(after)

  const counts = [...answers.values()].map((by) => by.length)
  console.log(counts.filter((count) => count === 0).length, 'lost') // => 0 lost
  console.log(counts.filter((count) => count > 1).length, 'doubled') // => 0 doubled
  console.log([...new Set([...answers.values()].flat())].join(' then ')) // => 1.0.0 then 1.1.0
}

if (process.send === undefined) await platform()
else await bot(process.argv[2] ?? '')
