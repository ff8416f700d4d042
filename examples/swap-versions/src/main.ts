import { BlueGreen, memoryState, reportMarkdown } from '@evenkeel/blue-green'

interface Command {
  readonly id: string
  readonly guildId: string
  readonly nickname: string | null
}

const blueGreen = new BlueGreen({
  versions: {
    v1: async () => 'answered by v1',
    v2: async () => 'answered by v2',
    v3: async ({ nickname }: Command) => `answered by v3, ${nickname!.trim()}`,
    v4: async () => '',
  },
  initial: 'v1',
  context: ({ id, guildId }: Command) => ({ eventId: id, guildId }),
  store: memoryState(),
  // What must be in order before anything happens, and what a version must answer before anybody has it.
  checks: { node: () => Number(process.versions.node.split('.')[0]) >= 20 },
  smokeTests: {
    answers: async ({ call }) => (await call({ id: 'smoke', guildId: '7', nickname: 'Ada' })) !== '',
  },
})
blueGreen.on('change', ({ message }) => console.log(message))
await blueGreen.start()

// Members of a hundred guilds give commands for as long as somebody wants to know the outcome.
let sent = 0
async function serveUntil<T>(outcome: Promise<T>): Promise<T> {
  let isOver = false
  void outcome.finally(() => (isOver = true))
  while (!isOver) {
    const command = { id: String(sent++), guildId: String(sent % 100), nickname: null }
    await blueGreen.handle(command).catch((error: Error) => error.message)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return outcome
}

const good = await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 50 })
console.log((await serveUntil(good.finished)).outcome) // => COMPLETE
const passed = good.report().results.filter(({ isPassed }) => isPassed)
console.log(passed.map(({ kind, name }) => `${kind}.${name}`).join(', ')) // => checks.node, smokeTests.answers

// Nobody has it yet when it is found out.
const silent = await blueGreen.deploy('v4')
console.log((await silent.finished).why) // => a smoke test failed: answers: it returned false

// The smoke test had a nickname, and most members have none.
const bad = await blueGreen.deploy('v3', { percentages: [10, 100], stepMs: 60_000 })
console.log((await serveUntil(bad.finished)).outcome) // => ROLLED_BACK
console.log(reportMarkdown(bad.report()).split('\n')[0]) // => # Deployment 3: v2 to v3, ROLLED_BACK
console.log(await blueGreen.handle({ id: 'last', guildId: '7', nickname: null })) // => answered by v2
await blueGreen.stop()
