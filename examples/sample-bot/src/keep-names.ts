import { setTimeout as sleep } from 'node:timers/promises'

/** Between two questions to the service, so that it does not turn the bot away. */
const pauseMs = 150

/**
 * Translates a text and leaves names as they are: "ahoy me matey Treasure", not "ahoy me matey Booty".
 *
 * An honest mistake: the service is asked for one word after the other, politely, with a pause in between. Nothing fails,
 * and each answer is right; it is the members who wait.
 */
export async function translateButNames(text: string, translate: (word: string) => Promise<string>): Promise<string> {
  let translated = ''
  for (const [index, part] of text.split(/(\p{L}+)/u).entries()) {
    const isWord = index % 2 === 1
    const isFirst = index === 1
    const isName = !isFirst && /^\p{Lu}/u.test(part)
    if (isWord && !isName && !isFirst) await sleep(pauseMs)
    translated += isWord && !isName ? await translate(part) : part
  }
  return translated
}
