import { parseArgs } from 'node:util'
import { standinDefaults } from './options.js'
import type { ChildMessage } from './process.js'
import { DiscordStandin } from './standin.js'

/** The options of a stand-in are the flags of this program, all of them numbers: `--guilds=300`. */
function readFlags(): Record<string, number> {
  const flags = Object.keys(standinDefaults).map((name) => [name, { type: 'string' }] as const)
  const { values } = parseArgs({ options: Object.fromEntries(flags) })
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]))
}

function tellParent(message: ChildMessage): void {
  // A parent that is gone by now is told nothing, and that is no failure.
  process.send?.(message, undefined, {}, (error) => {
    if (error !== null) process.exit()
  })
}

function tellPeople({ token, api, guilds }: DiscordStandin): void {
  console.log(`A Discord of ${guilds.length} guilds listens. Log in with`)
  console.log(`  token  ${token}`)
  console.log(`  api    ${api}    (new Client({ intents, rest: { api } }))`)
  console.log('and let a member run a command with')
  console.log(`  curl -H 'content-type: application/json' -d '{"name":"ping"}' ${new URL('/_control/ask', api).href}`)
}

const hasParent = process.send !== undefined
if (hasParent) {
  // The channel breaks when the parent ends, even when it is killed; and it may have ended already.
  process.on('disconnect', () => process.exit())
  if (!process.connected) process.exit()
}

try {
  const standin = new DiscordStandin(readFlags())
  await standin.start()
  const { token, api, guilds } = standin
  if (hasParent) tellParent({ token, api, guilds })
  else tellPeople(standin)
} catch (error) {
  const failure = (error as Error).message
  if (hasParent) tellParent({ failure })
  else console.error(failure)
  process.exitCode = 1
  if (hasParent) process.disconnect()
}
