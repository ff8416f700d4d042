import { BlueGreen, memoryState } from '@evenkeel/blue-green'

interface Command {
  readonly id: string
  readonly guildId: string
}

const blueGreen = new BlueGreen({
  versions: {
    v1: async () => 'answered by v1',
    v2: async () => 'answered by v2',
    v3: async (): Promise<string> => {
      throw new TypeError('nickname is null')
    },
  },
  initial: 'v1',
  context: ({ id, guildId }: Command) => ({ eventId: id, guildId }),
  store: memoryState(),
})
blueGreen.on('change', ({ message }) => console.log(message))
await blueGreen.start()

// Members of a hundred guilds give commands for as long as somebody wants to know the outcome.
let sent = 0
async function serveUntil<T>(outcome: Promise<T>): Promise<T> {
  let isOver = false
  void outcome.finally(() => (isOver = true))
  while (!isOver) {
    const id = String(sent++)
    await blueGreen.handle({ id, guildId: String(sent % 100) }).catch((error: Error) => error.message)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return outcome
}

const good = await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 50 })
console.log((await serveUntil(good.finished)).outcome) // => COMPLETE

const bad = await blueGreen.deploy('v3', { percentages: [10, 100], stepMs: 60_000 })
console.log((await serveUntil(bad.finished)).outcome) // => ROLLED_BACK
console.log(await blueGreen.handle({ id: 'last', guildId: '7' })) // => answered by v2
await blueGreen.stop()
