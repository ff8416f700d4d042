import type { FlagDocument } from './document.js'
import { isSameData } from './same-data.js'
import { SettingProblem } from './setting-problem.js'
import { FlagProblem, type FlagSettings, type FlagSpec } from './specification.js'

/** A document that is in force. */
export interface AppliedDocument extends FlagDocument {
  /** Since when it switches every flag off, if it does. */
  readonly offAt: number
}

/** What is known of the flags before a document is read. */
export interface KnownFlags {
  readonly code: ReadonlyMap<string, FlagSettings>
  /** What was made of all that was said. */
  readonly specs: ReadonlyMap<string, FlagSpec>
  /** The flags that no source names any more, those first that went first. */
  readonly gone: ReadonlySet<string>
}

/** A document that is read, and all those that are in force with it, lower ones first. */
export interface ReadDocument {
  readonly read: AppliedDocument
  readonly documents: readonly (AppliedDocument | undefined)[]
  /** Whether its source has brought none before. */
  readonly isFirst: boolean
  /** When, epoch ms. */
  readonly at: number
}

/** What all layers say together. */
export interface MergedFlags {
  readonly flags: ReadonlyMap<string, FlagSettings>
  readonly gone: ReadonlySet<string>
  /** Flags that were on or off until a source said what else they answer. */
  readonly others: readonly string[]
}

type Settings = Readonly<Record<string, unknown>>

/** So many flags that no source names any more are still known: the bot may ask for them. */
const maxGone = 10_000

/**
 * What all layers say of each flag, field by field. What is said as before is the same object as before.
 *
 * @throws FlagProblem when the answers of a flag are others than they were
 */
export function mergeLayers(known: KnownFlags, change: ReadDocument): MergedFlags {
  const { code, specs } = known
  const { documents, at } = change
  const keeps = (name: string): boolean => keepsVariants(name, known, change)
  const merged = new Map(code)
  for (const document of documents) {
    for (const name of document?.flags.keys() ?? []) {
      const below = merged.get(name)
      const settings = saidBy(document as FlagDocument, name, () => hasVariants(name, known, change) || keeps(name))
      const isOff = settings['enabled'] === false
      const offWhy = isOff ? `${document?.source} says so` : below?.offWhy
      const said = below === undefined ? settings : { ...below.settings, ...settings }
      merged.set(name, { settings: said, offWhy, offAt: isOff ? at : below?.offAt })
    }
  }
  for (const [name, flag] of merged) {
    const said = keeps(name) ? { ...flag, settings: { ...lastAnswers(specs, name), ...flag.settings } } : flag
    merged.set(name, asBefore(specs, name, said))
  }
  // A flag that a document does not name any more is still asked for: it is as if nothing were said of it.
  const gone = new Set([...known.gone, ...specs.keys()].filter((name) => !merged.has(name)))
  for (const name of gone) {
    if (gone.size <= maxGone) break
    gone.delete(name)
  }
  const offWhy = 'no source names it any more'
  for (const name of gone) {
    merged.set(name, asBefore(specs, name, { settings: lastAnswers(specs, name), offWhy, offAt: at }))
  }
  refuseOtherVariants(code, merged)
  return { flags: merged, gone, others: otherKinds(specs, merged, change) }
}

/**
 * All flags as they would be without the documents that are higher than the one that is read. So what a higher one covers
 * is checked as well, rather than found when it goes.
 *
 * @returns `undefined` when there is none that is higher
 */
export function uncovered(
  { code }: KnownFlags,
  { read, documents }: ReadDocument,
  { flags }: MergedFlags,
): ReadonlyMap<string, FlagSettings> | undefined {
  const upTo = documents.slice(0, documents.indexOf(read) + 1).filter((each) => each !== undefined)
  const names = documents.slice(documents.indexOf(read) + 1).flatMap((each) => [...(each?.flags.keys() ?? [])])
  if (names.length === 0) return undefined
  const found = new Map(flags)
  for (const name of names) {
    const all = flags.get(name) as FlagSettings
    const isVariant = kindOf(all) === 'variant'
    const said = upTo.filter((each) => each.flags.has(name)).map((each) => saidBy(each, name, () => isVariant))
    if (said.length === 0 && !code.has(name)) {
      found.delete(name)
      continue
    }
    const answers = isVariant ? answersOf(all.settings) : {}
    const settings = Object.assign({}, answers, code.get(name)?.settings, ...said) as Settings
    found.set(name, { ...all, settings })
  }
  return found
}

/** On without a share is on for everyone, whatever lower layers say; a flag with variants is on as it is. */
function saidBy({ flags, onForAll }: FlagDocument, name: string, isVariant: () => boolean): Settings {
  const settings = flags.get(name) ?? {}
  return onForAll.has(name) && !isVariant() ? { ...settings, percentage: 100 } : settings
}

/** The last word on a property of a flag. */
function lastSaid(name: string, property: string, code: KnownFlags['code'], { documents }: ReadDocument): unknown {
  let said = code.get(name)?.settings[property]
  for (const document of documents) said = document?.flags.get(name)?.[property] ?? said
  return said
}

function hasVariants(name: string, { code }: KnownFlags, change: ReadDocument): boolean {
  return lastSaid(name, 'variants', code, change) !== undefined
}

/**
 * Whether a flag has its variants only from what was said earlier: it takes no more than a word to switch it off, and a
 * document that does not name it is not the one that gives it other answers.
 */
function keepsVariants(name: string, known: KnownFlags, change: ReadDocument): boolean {
  if (known.specs.get(name)?.kind !== 'variant' || hasVariants(name, known, change)) return false
  return !change.read.flags.has(name) || lastSaid(name, 'enabled', known.code, change) === false
}

/** What can be answered is said by the flag that was. */
function lastAnswers(specs: KnownFlags['specs'], name: string): Settings {
  const spec = specs.get(name)
  return spec?.kind === 'variant' ? answersOf(spec.source.settings) : {}
}

function answersOf({ variants, default: fallback }: Settings): Settings {
  return { variants, default: fallback }
}

function asBefore(specs: KnownFlags['specs'], name: string, flag: FlagSettings): FlagSettings {
  const before = specs.get(name)?.source
  if (before === undefined || before.offWhy !== flag.offWhy) return flag
  return isSameData(before.settings, flag.settings) ? before : flag
}

function kindOf({ settings }: FlagSettings): FlagSpec['kind'] {
  return settings['variants'] === undefined ? 'boolean' : 'variant'
}

/** A document may say how a flag of the code is decided, and not what it can answer: the code was written for that. */
function refuseOtherVariants(code: KnownFlags['code'], flags: ReadonlyMap<string, FlagSettings>): void {
  for (const [name, { settings }] of code) {
    const variants = flags.get(name)?.settings['variants']
    if (variants === settings['variants'] || isSameData(variants, settings['variants'])) continue
    throw new FlagProblem(name, new SettingProblem('its `variants` are those of the code', ['variants']))
  }
}

/**
 * Handles of a flag are made for what it answered when all sources were first read. Until then a lower one may have named
 * it, and a higher one says what it answers.
 */
function otherKinds(
  specs: KnownFlags['specs'],
  flags: ReadonlyMap<string, FlagSettings>,
  { isFirst }: ReadDocument,
): string[] {
  const others: string[] = []
  for (const [name, flag] of flags) {
    const before = specs.get(name)?.kind
    if (before === undefined || before === kindOf(flag)) continue
    if (before === 'variant' || !isFirst) {
      const what = before === 'variant' ? 'it had `variants`' : 'it was on or off'
      const problem = `${what} when it was first read; give the other one a new name`
      throw new FlagProblem(name, new SettingProblem(problem, ['variants']))
    }
    others.push(name)
  }
  return others
}
