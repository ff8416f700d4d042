import { writeSync } from 'node:fs'
import { LiveServer } from '../http.js'

/** Starts a live server and does as its argument says; it tells by lines of JSON. */
const [deed = '', ms = '0', liveAfterMs = '10000'] = process.argv.slice(2)

const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

/** By processor time, which stands still while the process is suspended. */
function burn(ms: number): void {
  const began = process.cpuUsage()
  while (process.cpuUsage(began).user + process.cpuUsage(began).system < ms * 1_000);
}

const deeds: Readonly<Record<string, () => void>> = {
  /** Nothing more: the process must end by itself. */
  end() {},
  /** Blocks its event loop as soon as it is asked to, and lives on. */
  block() {
    process.stdin.once('data', () => {
      say({ blockedAt: Date.now() })
      burn(Number(ms))
      say({ goesOnAt: Date.now() })
    })
  },
  /** The same, and tells of it once more in the middle. */
  blockTwice() {
    process.stdin.once('data', () => {
      burn(Number(ms) / 2)
      say({ blockedAt: Date.now() })
      burn(Number(ms) / 2)
      say({ goesOnAt: Date.now() })
    })
  },
}

const live = new LiveServer({ port: 0, host: '127.0.0.1', liveAfterMs: Number(liveAfterMs) })
await live.start()
say({ port: live.port })
deeds[deed]?.()
