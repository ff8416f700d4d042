import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { startStandin, type CommandRequest, type Standin } from '@evenkeel-examples/discord-standin'
import { runTypeScript, type Finished, type RunOptions } from '../shell.js'

// A fence after `<!-- run: bot /search query=cat -->` is a whole bot. It runs against the Discord stand-in: it must connect,
// answer that command, and end well on SIGTERM.

const connectTimeoutMs = 45_000

/** Reads `bot /search query=cat` as the command `search` with the option `query`. */
function commandOf(marker: string): CommandRequest {
  const [, name, rest = ''] = /^bot \/(\S+)(.*)$/.exec(marker) ?? []
  if (name === undefined) throw new SyntaxError(`"run: ${marker}" is no marker; write "run: bot /command option=value"`)
  const options = rest.split(' ').flatMap((word) => {
    const [option = '', value] = word.split('=')
    return value === undefined ? [] : [[option, value] as const]
  })
  return { name, options: Object.fromEntries(options) }
}

/** Waits for the bot to connect, and resolves with what is wrong with its answer. */
async function converse(standin: Standin, marker: string, bot: ChildProcess): Promise<string[]> {
  const deadline = performance.now() + connectTimeoutMs
  while ((await standin.ledger()).gateway.connected === 0) {
    if (bot.exitCode !== null || performance.now() > deadline) return ['the bot did not connect']
    await sleep(50)
  }
  const { answered } = await standin.ask(commandOf(marker))
  return answered ? [] : [`the bot did not answer ${marker.replace(/^bot /, '')}`]
}

/** Runs a bot until it has answered, and resolves with how it ended and what was wrong. */
export async function runBot(
  marker: string,
  program: string,
  options: RunOptions,
): Promise<{ finished: Finished; faults: string[] }> {
  const standin = await startStandin({ guilds: 1 })
  try {
    let conversation: Promise<string[]> = Promise.resolve([])
    const finished = await runTypeScript(['--import', import.meta.resolve('./bot-preload.ts'), program], {
      ...options,
      env: { DISCORD_API: standin.api, DISCORD_TOKEN: standin.token },
      onStart: (bot) => {
        conversation = converse(standin, marker, bot).finally(() => bot.kill('SIGTERM'))
      },
    })
    return { finished, faults: await conversation }
  } finally {
    await standin.stop()
  }
}
