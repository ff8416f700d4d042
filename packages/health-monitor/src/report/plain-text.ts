import { oneLine } from '../check-result.js'

/** Characters that turn the direction of writing, or show nothing: what stands there would not be what one reads. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu

/** Half of a character that takes two, without the other: not every reader of UTF-8 takes it. */
const HALF = /\p{Surrogate}/gu

/** One line that shows what it is: no control characters, nothing invisible. */
export function plainText(text: string): string {
  return oneLine(text.replace(INVISIBLE, '').replace(HALF, '\ufffd'))
}

/** Text for a cell of a Markdown table, where nothing of it is markup, a link or a mention. */
export function markdownText(text: string): string {
  return plainText(text)
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/[\\`*_{}[\]()#+!|~>]/g, '\\$&')
    .replace(/@/g, '@\u200b')
    .replace(/:\/\//g, ':\u200b//')
    .replace(/(www)\./gi, '$1\u200b.')
}
