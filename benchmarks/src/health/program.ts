import { packaged as packagedAs } from '../flags/package.js'
import { live } from './live.js'
import { record, scrape } from './record.js'
import { request } from './request.js'
import { standing } from './standing.js'

const all = { record, scrape, request, live, standing, packaged: () => packagedAs('health-monitor') }

/** A benchmark of health. */
export type Program = keyof typeof all

// The program of a process that runs one of them.
await all[process.argv[2] as Program]()
