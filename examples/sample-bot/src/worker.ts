import { serveVersion } from '@evenkeel/blue-green/workers'
import { versions, type Question, type VersionName } from './versions.js'

// The program of a worker: one version of the bot in a process of its own, which ends when its owner does. It has neither
// discord.js nor the database nor the token.
const name = process.argv[2] as VersionName

// One line is enough: the owner tells the rest.
process.once('uncaughtException', (error) => {
  console.error(`${name} crashes: ${error.message}`)
  process.exit(1)
})
serveVersion((question: Question) => versions[name](question))
