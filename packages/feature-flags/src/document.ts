import type { SegmentDefinitions } from './definitions.js'
import { FlagDocumentError } from './document-error.js'
import { didYouMean } from './nearest.js'
import { isRecord, literal, quote, SettingProblem } from './setting-problem.js'
import { checkPercentage } from './specification.js'

/** A document of flags, looked at as a whole: what it says of each flag is checked together with the other layers. */
export interface FlagDocument {
  /** For people: where it stands. */
  readonly source: string
  /** Whether it switches every flag off. */
  readonly isOff: boolean
  readonly segments: SegmentDefinitions
  /** Settings by flag. `enabled: false` is among them. */
  readonly flags: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** The flags of which it says `true` and no share. */
  readonly onForAll: ReadonlySet<string>
}

const properties = ['enabled', 'segments', 'flags', 'rollout_percentages']

/**
 * Reads a document. What else it says beside its flags is nobody's business, unless it looks like a misspelt property.
 *
 * @throws FlagDocumentError when it is no document of flags: never are flags wiped by an empty or a torn one
 */
export function readDocument(document: unknown, source: string): FlagDocument {
  if (!isRecord(document)) {
    throw new FlagDocumentError(`a document of flags is an object such as { "flags": {} }, not ${literal(document)}`)
  }
  for (const property of Object.keys(document)) {
    if (properties.includes(property)) continue
    const hint = didYouMean(property, properties)
    if (hint !== '') throw new FlagDocumentError(`there is no property ${quote(property)}${hint}`, { path: [property] })
  }
  const { enabled = true, segments = {}, flags, rollout_percentages: percentages = {} } = document
  if (typeof enabled !== 'boolean') {
    throw new FlagDocumentError(`\`enabled\` must be true or false, not ${literal(enabled)}`, { path: ['enabled'] })
  }
  if (!isRecord(flags)) {
    const path = flags === undefined ? [] : ['flags']
    throw new FlagDocumentError(`\`flags\` must be an object of flags by name, not ${literal(flags)}`, { path })
  }
  if (!isRecord(segments)) {
    throw new FlagDocumentError(`\`segments\` must be conditions by name, not ${literal(segments)}`, {
      path: ['segments'],
    })
  }
  if (!isRecord(percentages)) {
    throw new FlagDocumentError(`\`rollout_percentages\` must be numbers by flag, not ${literal(percentages)}`, {
      path: ['rollout_percentages'],
    })
  }
  const shares = new Map(Object.entries(percentages).map(([name, share]) => [name, shareOf(name, share)]))
  const read = new Map<string, Readonly<Record<string, unknown>>>()
  const onForAll = new Set<string>()
  for (const [name, flag] of Object.entries(flags)) {
    read.set(name, readFlag(name, flag, shares.get(name)))
    if (flag === true && !shares.has(name)) onForAll.add(name)
    shares.delete(name)
  }
  for (const [name, percentage] of shares) read.set(name, { percentage })
  return { source, isOff: !enabled, segments: segments as SegmentDefinitions, flags: read, onForAll }
}

function shareOf(name: string, share: unknown): number {
  try {
    return checkPercentage(share)
  } catch (error) {
    if (!(error instanceof SettingProblem)) throw error
    throw new FlagDocumentError(`Flag ${quote(name)}: ${error.message}`, { path: ['rollout_percentages', name] })
  }
}

function readFlag(name: string, flag: unknown, percentage: number | undefined): Readonly<Record<string, unknown>> {
  const share = percentage === undefined ? {} : { percentage }
  if (flag === false) return { enabled: false, ...share }
  if (flag === true) return share
  if (!isRecord(flag)) {
    throw new FlagDocumentError(
      `Flag ${quote(name)} must be true, false, or an object such as { "percentage": 25 }, not ${literal(flag)}`,
      { path: ['flags', name] },
    )
  }
  if (percentage !== undefined && flag['percentage'] !== undefined) {
    throw new FlagDocumentError(`Flag ${quote(name)} has its percentage twice, here and in \`rollout_percentages\``, {
      path: ['flags', name, 'percentage'],
    })
  }
  return percentage === undefined ? flag : { ...flag, percentage }
}
