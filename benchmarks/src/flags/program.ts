import { isEnabled, scoped } from '../flags.js'
import { allocation } from './allocation.js'
import { openFeature } from './openfeature.js'
import { packaged } from './package.js'
import { propagation } from './propagation.js'
import { reload } from './reload.js'

const all = { isEnabled, scoped, allocation, openFeature, reload, packaged, propagation }

/** A benchmark of flags. */
export type Program = keyof typeof all

// The program of a process that runs one of them.
await all[process.argv[2] as Program]()
