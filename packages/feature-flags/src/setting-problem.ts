import { inspect } from 'node:util'
import { FlagDocumentError } from './document-error.js'

/** What is wrong with a setting of a flag. Whoever knows where the setting stands makes an error for users of it. */
export class SettingProblem extends Error {
  /** Where within the flag: `['rules', 0, 'value']`. */
  readonly path: readonly (string | number)[]
  /** A number out of its range, rather than a thing of another kind. */
  readonly isRange: boolean

  constructor(reason: string, path: readonly (string | number)[] = [], isRange = false) {
    super(reason)
    this.path = path
    this.isRange = isRange
  }
}

/** The error for a flag that was declared in code. */
export function inCode(name: string, problem: SettingProblem): TypeError | RangeError {
  const message = `Flag ${quote(name)}: ${problem.message}`
  return problem.isRange ? new RangeError(message) : new TypeError(message)
}

/** The error for a flag of a document. */
export function inDocument(name: string, problem: SettingProblem): FlagDocumentError {
  return new FlagDocumentError(`Flag ${quote(name)}: ${problem.message}`, { path: ['flags', name, ...problem.path] })
}

/** Does something with a part of a setting, and tells of a problem where in the whole it is. */
export function at<T>(path: readonly (string | number)[], make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof SettingProblem) {
      throw new SettingProblem(error.message, [...path, ...error.path], error.isRange)
    }
    if (error instanceof FlagDocumentError) throw new SettingProblem(error.reason, [...path, ...error.path])
    throw error
  }
}

export function quote(text: string): string {
  return JSON.stringify(text)
}

/** A value as it was written. */
export function literal(value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity })
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
