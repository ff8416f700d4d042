import { writeSync } from 'node:fs'
import { FaultyStorage } from '@evenkeel/testing'
import { FailoverStorage } from '../failover/failover-storage.js'
import { FileStorage } from '../file/file-storage.js'
import { SqliteStorage } from '../sqlite.js'
import type { Storage } from '../storage.js'
import { systemClock } from '../system-clock.js'

/*
 * Writes until it is killed, and says so on its standard output: "S <n>" before write n, "A <n>" when it was
 * acknowledged. Write n puts n under one of ten keys, and, in the same batch, under a key of another collection.
 */
const [kind = '', path = '', startAt = '1', writers = 'one'] = process.argv.slice(2)

/** An outage begins and ends so often that a kill meets every part of one. */
const OUTAGE_MS = 25

// Timers of a storage keep no process alive, and this one has nothing else: a bot has its connection.
setInterval(() => undefined, 1_000)

/** At once, not when the event loop comes to it; a pipe that is full is tried until the reader has caught up. */
function say(line: string): void {
  let bytes = Buffer.from(`${line}\n`)
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

async function open(): Promise<Storage> {
  if (kind === 'file') return new FileStorage({ path, compactBytes: 20_000 })
  if (kind === 'sqlite') return new SqliteStorage({ path: `${path}.db` })
  const faulty = new FaultyStorage<Storage>(new SqliteStorage({ path: `${path}.db` }))
  const quick = { probeIntervalMs: 3, steadyProbes: 1, cooldownMs: 0 }
  const options = { path, writers: writers as 'one' | 'many', mirrorIntervalMs: 3, ...quick }
  const storage = new FailoverStorage({ primary: faulty.storage, ...options })
  const copied = new Promise<void>((resolve) => {
    storage.on('change', ({ to }) => to === 'fresh' && resolve())
  })
  await storage.start()
  // Before its first copy is complete, an outage makes it reject, as it should.
  if (storage.state.mirror.covered !== 'all') await copied
  const change = (isDown: boolean): void => {
    if (isDown) faulty.down()
    else faulty.up()
    systemClock.after(OUTAGE_MS, () => change(!isDown))
  }
  change(false)
  return storage
}

async function write(storage: Storage, take: () => number): Promise<never> {
  for (;;) {
    const n = take()
    say(`S ${n}`)
    await storage.batch([
      { type: 'set', collection: 'numbers', key: `k${n % 10}`, value: n },
      { type: 'set', collection: 'twins', key: `k${n % 10}`, value: n },
    ])
    say(`A ${n}`)
  }
}

async function main(): Promise<void> {
  const storage = await open()
  let next = Number(startAt)
  await Promise.all(Array.from({ length: 3 }, () => write(storage, () => next++)))
}

main().catch((error: unknown) => {
  say(`E ${String(error)}`)
  process.exit(1)
})
