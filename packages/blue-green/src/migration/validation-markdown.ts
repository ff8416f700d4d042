import type { Impact } from './prove.js'
import type { Difference } from './snapshot.js'
import type { RunOutcome, StepReport } from './steps.js'
import type { ValidationReport } from './validate-migration.js'

/**
 * The exit code of a program that validates or rehearses: 0 when all passed, 1 when something failed, 2 when it was cancelled.
 *
 * @example
 * ```ts
 * import { exitCodeOf } from '@evenkeel/blue-green/rehearsal'
 *
 * console.log(exitCodeOf({ outcome: 'CANCELLED' })) // => 2
 * ```
 */
export function exitCodeOf({ outcome }: { readonly outcome: RunOutcome }): 0 | 1 | 2 {
  return outcome === 'PASSED' ? 0 : outcome === 'FAILED' ? 1 : 2
}

/** A validation for people, and for the pull request that it is about. */
export function validationMarkdown(report: ValidationReport): string {
  const { migration, outcome, steps, impact, estimate, extents, differences, leftBehind } = report
  const parts = [`# Migration ${text(migration)}: ${outcome}`, stepTable(steps)]
  if (impact !== undefined) parts.push(impactText(impact))
  if (estimate !== undefined) {
    const { rows, sampleRows, changedRows, wallMs, note } = estimate
    const range = (low: number, high: number): string => `${round(low)} to ${round(high)}`
    parts.push(
      `Estimated for ${rows} rows from ${sampleRows}: ${range(changedRows.low, changedRows.high)} rows change, in ` +
        `${range(wallMs.low, wallMs.high)} ms (most likely ${round(wallMs.likely)}). ${note}`,
    )
  }
  const { before, afterUp, afterDown } = extents
  const hashes = Object.entries({ before, 'after up': afterUp, 'after down': afterDown })
  const lines = hashes.flatMap(([name, extent]) =>
    extent ? [`- ${name}: ${extent.rows} rows, \`${extent.hash}\``] : [],
  )
  if (lines.length > 0) parts.push(`SHA-256 over all rows:\n\n${lines.join('\n')}`)
  parts.push(...differenceLists(differences), ...leftBehind.map((left) => `Left behind: ${text(left)}`))
  return `${parts.join('\n\n')}\n`
}

/** The steps as a table. */
function stepTable(steps: readonly StepReport[]): string {
  const rows = steps.map(
    ({ name, outcome, why, tookMs }) => `| ${text(name)} | ${outcome} | ${text(why)} | ${round(tookMs)} |`,
  )
  return ['| step | outcome | found | ms |', '| --- | --- | --- | ---: |', ...rows].join('\n')
}

/** What a migration did and took. */
function impactText({ collections, cost, runsMs, writes, bytesBefore, bytesAfter }: Impact): string {
  const names = Object.keys(collections)
  const rows = names.map((name) => {
    const { before, after, added, changed, removed } = collections[name]!
    return `| ${text(name)} | ${before} | ${after} | ${added} | ${changed} | ${removed} |`
  })
  const head = [
    '| collection | rows before | after | added | changed | removed |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
  ]
  const table = rows.length === 0 ? 'No row changes.' : [...head, ...rows].join('\n')
  const took =
    `\`up\` took ${round(cost.wallMs)} ms (${runsMs.length} runs, ${round(runsMs[0] ?? 0)} to ${round(runsMs.at(-1) ?? 0)}) and ` +
    `${round(cost.cpuMs)} ms of CPU, in ${writes} writes; the event loop stood still for ${round(cost.maxPauseMs)} ms at most. ` +
    `${bytesBefore} bytes became ${bytesAfter}.`
  return `${table}\n\n${took}`
}

/** Which rows were not as they should be. */
function differenceLists(differences: Readonly<Record<string, readonly Difference[]>>): string[] {
  return Object.entries(differences).map(([step, rows]) => {
    const lines = rows.map(({ collection, key, what }) => `- ${text(`${collection}/${key}`)}: ${what}`)
    return `Rows that differ in "${text(step)}":\n\n${lines.join('\n')}`
  })
}

/** Names of collections and keys are data, and may look like Markdown or HTML. */
export function text(from: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is taken out
  const line = from.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
  return line.replace(/[\\`*_[\]<>|&#~]/g, (sign) => `\\${sign}`)
}

function round(value: number): string {
  return value < 10 ? String(Math.round(value * 10) / 10) : String(Math.round(value))
}
