import { createHash } from 'node:crypto'

/** Discord takes no longer one. */
const maxLength = 25

/**
 * The key of a message that an event causes, so that a second run does not send it again: Discord gives back the first one.
 *
 * @remarks
 * *Gotchas*: Discord remembers an enforced nonce for a few minutes, per author. A run that is repeated later sends again.
 *
 * @param eventId - what `handle` is told: `work.eventId`
 * @param part - tells the messages of one event apart: a name or a number of your own that does not change between runs
 * @returns 25 characters, the same for the same event and part in each process
 * @throws TypeError when there is no event id
 *
 * @example
 * ```ts
 * import { nonceOf } from '@evenkeel/blue-green/discord'
 *
 * // channel.send({ content, nonce: nonceOf(work.eventId, 'welcome'), enforceNonce: true })
 * console.log(nonceOf('guildMemberAdd:1:2:3', 'welcome') === nonceOf('guildMemberAdd:1:2:3', 'welcome')) // => true
 * ```
 * @see https://discord.com/developers/docs/resources/message#create-message
 */
export function nonceOf(eventId: string | undefined, part: string | number = ''): string {
  // An event without an id would share its nonce with every other one, and their messages would be dropped.
  if (typeof eventId !== 'string' || eventId === '') {
    throw new TypeError(`nonceOf needs the id of the event, not ${String(eventId)}: an event without one has no key`)
  }
  const digest = createHash('sha256').update(JSON.stringify([eventId, String(part)]))
  return digest.digest('base64url').slice(0, maxLength)
}
