import type { FlagDocument } from './document.js'
import { FlagDocumentError } from './document-error.js'
import { RequirementError } from './requirements.js'
import { inCode, inDocument, quote, SettingProblem } from './setting-problem.js'
import { FlagProblem } from './specification.js'

/** What whoever has declared flags in code is told. */
export function asDeclarationError(error: unknown): unknown {
  if (error instanceof FlagProblem) return inCode(error.flag, error.problem)
  return error instanceof SettingProblem ? new TypeError(`${error.path.join('.')}: ${error.message}`) : error
}

/** What whoever has written a document is told. @param all - the documents that are in force with it, lower ones first */
export function asDocumentError(
  error: unknown,
  document: FlagDocument,
  all: readonly (FlagDocument | undefined)[],
): FlagDocumentError {
  if (error instanceof FlagProblem) return flagError(error, document, all)
  if (error instanceof SettingProblem) return new FlagDocumentError(error.message, { path: error.path })
  if (error instanceof RequirementError) {
    const flag = error.flags.find((name) => document.flags.has(name))
    return new FlagDocumentError(error.message, { path: flag === undefined ? ['flags'] : ['flags', flag, 'requires'] })
  }
  // An environment variable that does not fit what the document says.
  return new FlagDocumentError(error instanceof Error ? error.message : String(error))
}

/** What is wrong may stand elsewhere: one document takes away the segment that another one's rule names. */
function flagError(
  { flag, problem }: FlagProblem,
  document: FlagDocument,
  all: readonly (FlagDocument | undefined)[],
): FlagDocumentError {
  const [property = ''] = problem.path
  const says = (each: FlagDocument | undefined): boolean => each?.flags.get(flag)?.[property] !== undefined
  if (property === '' || says(document)) return inDocument(flag, problem)
  const source = all.findLast(says)?.source
  if (source === undefined) return inDocument(flag, problem)
  const path = document.flags.has(flag) ? ['flags', flag] : problem.path.at(-1) === 'segment' ? ['segments'] : ['flags']
  return new FlagDocumentError(`Flag ${quote(flag)} in ${source}: ${problem.message}`, { path })
}
