import { text, validationMarkdown } from '../migration/validation-markdown.js'
import type { KeptNames } from './anonymize.js'
import { isInCollectionName } from './leaks.js'
import type { RehearsalReport } from './rehearse.js'

/**
 * A rehearsal for people, and for the pull request that it is about.
 *
 * @example
 * ```ts
 * import { botData, rehearsalMarkdown, rehearse } from '@evenkeel/blue-green/rehearsal'
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const report = await rehearse({
 *   copy: () => new MemoryStorage(),
 *   generate: botData({ guilds: 3, maxMembers: 5 }),
 *   migration: () => ({ async up() {} }),
 *   name: 'nothing',
 * })
 * console.log(rehearsalMarkdown(report).split('\n')[0]) // => # Migration nothing: PASSED
 * ```
 */
export function rehearsalMarkdown(report: RehearsalReport): string {
  const { data, limits, reads } = report
  const parts = [validationMarkdown(report).trimEnd(), `Data: ${data.rows} rows, ${dataText(data)}.`]
  if (reads !== undefined) {
    const { count, p50Ms, p99Ms, maxMs } = reads
    parts.push(
      `${count} reads while \`up\` ran took ${ms(p50Ms)} in the median, ${ms(p99Ms)} at the 99th of 100, ${ms(maxMs)} at most.`,
    )
  }
  if (limits.length > 0) {
    const rows = limits.map(({ name, limit, found, isMet }) => {
      return `| ${name} | ${limit} | ${found === undefined ? '' : Number(found.toFixed(2))} | ${isMet ? 'kept' : 'broken'} |`
    })
    parts.push(['| limit | at most | found | |', '| --- | ---: | ---: | --- |', ...rows].join('\n'))
  }
  return `${parts.join('\n\n')}\n`
}

function dataText({ kind, seed, leaks, kept }: RehearsalReport['data']): string {
  if (leaks === undefined) return kind === 'generated' ? `generated with the seed ${seed}` : kind
  const places = leaks.first.map((leak) => {
    const { collection, field, what, as } = leak
    const where = isInCollectionName(leak) ? 'the name of a collection' : `${collection} ${field || 'key'}`
    return text(`${what} (${as}) in ${where}`)
  })
  const found = leaks.count === 0 ? 'none found' : `found in ${leaks.count} strings: ${[...new Set(places)].join(', ')}`
  return (
    `anonymised; ${leaks.ids} original ids and ${leaks.texts} texts were looked for in ${leaks.strings} strings, ${found}` +
    `; ${leaks.skippedTexts} texts are too short, or allowed${kept === undefined ? '' : keptText(kept)}`
  )
}

/** As many collections as a line has room for. */
const maxCollections = 10

function keptText({ count, collections }: KeptNames): string {
  const all = Object.entries(collections).sort(([, a], [, b]) => b.keys + b.fields - a.keys - a.fields)
  const named = all.slice(0, maxCollections).map(([name, { keys, fields }]) => `${text(name)} ${keys} and ${fields}`)
  const more = all.length > named.length ? ', and others' : ''
  return `; ${count} names were kept as they are (parts of keys, and names of fields): ${named.join(', ') || 'none'}${more}`
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}
