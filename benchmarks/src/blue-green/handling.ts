import { BlueGreen, memoryState, type JudgeOptions } from '@evenkeel/blue-green'
import { snowflakes } from '../ids.js'
import { measure, print, type Candidate } from '../measure.js'

interface Command {
  readonly id: string | null
  readonly guildId: string
}

type Bot = BlueGreen<Record<'v1' | 'v2', (command: Command) => Promise<void>>>

/** Handing an event to the version that serves its guild, beside calling the handler. */
export async function handling(): Promise<void> {
  const guilds = snowflakes(10_000)
  const handle = async (_command: Command): Promise<void> => undefined
  let lastId = 0
  const next = (i: number, hasId: boolean): Command => ({
    id: hasId ? String(++lastId) : null,
    guildId: guilds[i % guilds.length] as string,
  })
  const each = (name: string, hasId: boolean, call: (command: Command) => unknown): Candidate => ({
    name,
    async run(count) {
      for (let i = 0; i < count; i++) await call(next(i, hasId))
    },
  })
  const [idle, deploying, judging] = [make(handle), make(handle), make(handle, {})]
  await idle.start()
  for (const one of [deploying, judging]) {
    await one.deploy('v2', { percentages: [50, 100], stepMs: 3_600_000 })
  }

  print(
    'handle: one event, its handler does nothing',
    await measure(
      [
        each('floor: calling the handler', true, handle),
        each('evenkeel, no deployment, eventId: null', false, (command) => idle.handle(command)),
        each('evenkeel, no deployment, claimed', true, (command) => idle.handle(command)),
        each('evenkeel, at 50 %, eventId: null', false, (command) => deploying.handle(command)),
        each('evenkeel, at 50 %, claimed', true, (command) => deploying.handle(command)),
        each('evenkeel, at 50 %, claimed and judged', true, (command) => judging.handle(command)),
      ],
      50_000,
      15,
    ),
  )
  for (const one of [idle, deploying, judging]) await one.stop()
}

function make(handle: (command: Command) => Promise<void>, judge?: JudgeOptions): Bot {
  return new BlueGreen({
    versions: { v1: handle, v2: handle },
    initial: 'v1',
    context: ({ id, guildId }) => ({ eventId: id, guildId }),
    store: memoryState(),
    judge,
  })
}
