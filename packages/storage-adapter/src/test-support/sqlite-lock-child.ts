import { findDriver } from '../sqlite/sqlite-driver.js'

/** Holds the write lock of a database for some time, as a slow program does, and says when it has it. */
const [path = '', holdMs = '0'] = process.argv.slice(2)

const database = findDriver('auto').open(path)
database.exec('BEGIN IMMEDIATE')
process.stdout.write('locked\n')
setTimeout(() => {
  database.exec('COMMIT')
  database.close()
}, Number(holdMs))
