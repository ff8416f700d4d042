import { fileURLToPath } from 'node:url'
import { childProcessSlot, type Slot } from '@evenkeel/blue-green/workers'
import type { Question, VersionName } from './versions.js'

const entry = fileURLToPath(new URL('worker.ts', import.meta.url))

/** What the bot needs and a version does not: it speaks, and neither logs in nor stores. */
const secrets = ['DISCORD_TOKEN', 'STORAGE_URL', 'ALERT_WEBHOOK', 'HEALTH_TOKEN']

/**
 * A version in a process of its own.
 *
 * @param execArgv - the options of Node.js for it, so that it can read TypeScript; those of this process unless given
 */
export function inProcess(name: VersionName, execArgv?: readonly string[]): Slot<Question, string> {
  return childProcessSlot({
    entry,
    name,
    args: [name],
    env: Object.fromEntries(Object.entries(process.env).filter(([variable]) => !secrets.includes(variable))),
    execArgv,
    // A version makes words and nothing else; it is the bot that stores and replies, once.
    effects: 'atLeastOnce',
  })
}

const nobody = { id: 'nobody', guildId: null, userId: null, nickname: null }

/** What a version is asked that is to show that it speaks. */
export const ping: Question = { ...nobody, subject: { about: 'version' } }

/** The id of the process that a version runs in. */
export async function processOf(version: Slot<Question, string>): Promise<number> {
  return Number((await version.handle(ping)).replace('process ', ''))
}
