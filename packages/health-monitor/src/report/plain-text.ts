import { oneLine } from '../check-result.js'

/** Characters that turn the direction of writing, or show nothing: what stands there would not be what one reads. */

const INVISIBLE = /[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g

/** One line that shows what it is: no control characters, nothing invisible. */
export function plainText(text: string): string {
  return oneLine(text.replace(INVISIBLE, ''))
}

/** Text for a cell of a Markdown table, where nothing of it is markup, a link or a mention. */
export function markdownText(text: string): string {
  return plainText(text)
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/[\\`*_{}[\]()#+!|~>]/g, '\\$&')
    .replace(/@/g, '@\u200b')
    .replace(/:\/\//g, ':\u200b//')
}
