import { packaged } from '../flags/package.js'
import { handling } from './handling.js'
import { journal } from './journal.js'
import { resume } from './resume.js'
import { rollback } from './rollback.js'
import { routing } from './routing.js'
import { switching } from './switching.js'
import { wire } from './wire.js'

const all = {
  routing,
  handling,
  rollback,
  journal,
  resume,
  wire,
  switching,
  packaged: (): void => packaged('blue-green'),
}

/** A benchmark of what swaps versions. */
export type Program = keyof typeof all

// The program of a process that runs one of them.
await all[process.argv[2] as Program]()
