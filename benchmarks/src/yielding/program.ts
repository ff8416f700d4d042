import { packaged as packagedAs } from '../flags/package.js'
import { asked } from './asked.js'
import { failing } from './failing.js'
import { guarded } from './guarded.js'
import { idle } from './idle.js'
import { overload } from './overload.js'

const all = { guarded, failing, asked, idle, overload, packaged: () => packagedAs('degradation-manager') }

/** A benchmark of what yields. */
export type Program = keyof typeof all

// The program of a process that runs one of them.
await all[process.argv[2] as Program]()
