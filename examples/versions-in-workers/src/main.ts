import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { BlueGreen, memoryState } from '@evenkeel/blue-green'
import { childProcessSlot, serveVersion } from '@evenkeel/blue-green/workers'

interface Command {
  readonly id: string
  readonly guildId: string
}

/** The versions. A bot has a file for each; here, the process of each version runs this file again. */
const versions: Readonly<Record<string, (command: Command) => Promise<string>>> = {
  v1: async () => 'answered by v1',
  v2: async () => 'answered by v2',
  // An error in a callback, where nothing catches it, ends the process, with all that it has in hand.
  v3: () => new Promise(() => setTimeout(() => process.exit(1), 5)),
}

/** The process that holds the connection to the chat platform. */
async function owner(): Promise<void> {
  const entry = fileURLToPath(import.meta.url)
  // A version answers and does nothing else, so a second run does no harm.
  const version = (name: string) =>
    childProcessSlot<Command, string>({ entry, name, args: [name], effects: 'atLeastOnce' })
  const blueGreen = new BlueGreen({
    versions: { v1: version('v1'), v2: version('v2'), v3: version('v3') },
    initial: 'v1',
    context: ({ id, guildId }) => ({ eventId: id, guildId }),
    store: memoryState(),
  })
  const repeated = new Set<string | undefined>()
  let unknown = 0
  blueGreen.on('redelivered', ({ eventId, isRepeat }) => isRepeat && repeated.add(eventId))
  blueGreen.on('unknown', () => unknown++)
  await blueGreen.start()

  // Members of a hundred guilds give commands for as long as somebody wants to know the outcome.
  const answers: Promise<string | undefined>[] = []
  async function serveUntil<T>(outcome: Promise<T>): Promise<T> {
    let isOver = false
    void outcome.finally(() => (isOver = true))
    while (!isOver) {
      const id = String(answers.length)
      answers.push(blueGreen.handle({ id, guildId: String(answers.length % 100) }))
      await sleep(1)
    }
    return outcome
  }

  const good = await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 200 })
  console.log((await serveUntil(good.finished)).outcome) // => COMPLETE

  const bad = await blueGreen.deploy('v3', { percentages: [10, 100], stepMs: 60_000 })
  const { outcome, why } = await serveUntil(bad.finished)
  console.log(outcome, why) // => ROLLED_BACK "v3" died: it ended with code 1

  const answered = await Promise.all(answers)
  const lost = answered.filter((answer) => answer === undefined).length
  console.log(lost, 'lost,', unknown, 'unknown') // => 0 lost, 0 unknown
  console.log(repeated.size > 0) // => true
  console.log(await blueGreen.handle({ id: 'last', guildId: '7' })) // => answered by v2
  await blueGreen.stop()
}

if (process.send === undefined) await owner()
else serveVersion((command: Command) => versions[process.argv[2] ?? '']?.(command))
