import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { asked } from './asked-flag.js'
import { meet } from './member.js'

/** Where flags are shared: in a file or a database with a path, or on a server with an address. */
export interface Meeting {
  /** `bare` is a file, followed with as little as it takes. */
  readonly over: 'bare' | 'file' | 'sqlite' | 'redis'
  readonly at: string
}

/** A change that a process saw, and when: by the clock that all processes of a machine share, in nanoseconds. */
export interface Sighting {
  readonly percentage: number
  readonly atNs: string
}

// The program of a process that tells each change of the flag, until it is told to end.
const meeting = JSON.parse(process.argv[2] ?? '') as Meeting
const stop = meeting.over === 'bare' ? followBare(meeting.at) : await follow(meeting)
process.once('message', () => {
  void stop().then(() => process.disconnect())
})
process.send?.('ready')

async function follow(meeting: Meeting): Promise<() => Promise<void>> {
  const member = await meet(meeting)
  member.flags.on('change', (change) => {
    if (change.what === asked && change.aspect === 'percentage') tell(change.to)
  })
  return () => member.stop()
}

function followBare(path: string): () => Promise<void> {
  let seen = Number.NaN
  const watcher = watch(dirname(path), (_event, name) => {
    if (name === basename(path)) void look()
  })
  const look = async (): Promise<void> => {
    const { flags } = JSON.parse(await readFile(path, 'utf8')) as { flags: Record<string, { percentage: number }> }
    const percentage = flags[asked]?.percentage ?? Number.NaN
    if (percentage !== seen) tell(percentage)
    seen = percentage
  }
  return async () => watcher.close()
}

function tell(percentage: number): void {
  process.send?.({ percentage, atNs: String(process.hrtime.bigint()) } satisfies Sighting)
}
