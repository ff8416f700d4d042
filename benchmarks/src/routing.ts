import { createHash } from 'node:crypto'
import { BlueGreen, memoryState } from '@evenkeel/blue-green'
import { snowflakes } from './ids.js'
import { measure, print } from './measure.js'

/** Handing an event to the version that serves its guild, in the middle of a deployment. */
export async function routing(): Promise<void> {
  const ids = snowflakes(10_000)
  const handle = async (): Promise<void> => undefined
  let eventId = 0
  const blueGreen = new BlueGreen({
    versions: { v1: handle, v2: handle },
    initial: 'v1',
    context: (guildId: string) => ({ eventId: String(eventId++), guildId }),
    store: memoryState(),
  })
  await blueGreen.start()
  await blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 3_600_000 })

  print(
    'routing: one event to one of two versions, 50 % each',
    await measure(
      [
        { name: 'floor: calling the handler', run: (count) => times(count, ids, handle) },
        { name: 'evenkeel handle(event)', run: (count) => times(count, ids, (id) => blueGreen.handle(id)) },
        {
          name: 'sha1 bucket, as hosted flag services use',
          run: (count) =>
            times(count, ids, (id) => {
              const digest = createHash('sha1').update(`salt.${id}`).digest('hex')
              return parseInt(digest.slice(0, 15), 16) / 2 ** 60 < 0.5 ? handle() : handle()
            }),
        },
      ],
      20_000,
    ),
  )
  await blueGreen.stop()
}

async function times(count: number, ids: readonly string[], call: (id: string) => unknown): Promise<void> {
  for (let i = 0; i < count; i++) await call(ids[i % ids.length] ?? '')
}
