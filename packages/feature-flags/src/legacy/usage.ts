import type { CallSites } from './call-sites.js'
import type { Deprecation } from './deprecation.js'
import type { CallSiteChange, DeprecatedUse, DeprecationReport } from './news.js'

/** What is known of the use of one deprecated function. */
export class Usage {
  readonly deprecation: Deprecation
  readonly isOverdue: boolean
  readonly sites: CallSites
  uses = 0
  replaced = 0
  firstUsedAt: number | undefined
  lastUsedAt: number | undefined

  constructor(deprecation: Deprecation, isOverdue: boolean, sites: CallSites) {
    this.deprecation = deprecation
    this.isOverdue = isOverdue
    this.sites = sites
  }

  get report(): DeprecationReport {
    const { name, reason, removedIn, instead } = this.deprecation
    const { isOverdue, uses, replaced, firstUsedAt, lastUsedAt, sites } = this
    const callSites = sites.places
    const isCallSitesFull = sites.isFull
    return {
      name,
      reason,
      removedIn,
      instead,
      isOverdue,
      uses,
      replaced,
      firstUsedAt,
      lastUsedAt,
      callSites,
      isCallSitesFull,
    }
  }

  /** News of a call. */
  use(to: DeprecatedUse['to'], at: number): DeprecatedUse {
    const { name, reason } = this.deprecation
    const outcome = { old: 'was called', replacement: 'was called, and replaced', error: 'was called, and is gone' }[to]
    const message = `The deprecated ${name} ${outcome}; ${this.uses} ${this.uses === 1 ? 'call' : 'calls'} so far`
    return { what: name, uses: this.uses, to, at, why: reason, severity: 'INFO', message }
  }

  /** News of a place that has just been found. */
  foundAt(place: string, at: number): CallSiteChange {
    const { name, reason, removedIn, instead } = this.deprecation
    const to = this.sites.places.length
    const end = this.isOverdue ? `It should have been gone since ${removedIn}.` : `It will be gone in ${removedIn}.`
    const use = instead === undefined ? '' : ` Use ${instead} instead.`
    const message = `${name} is deprecated: ${reason.replace(/\.$/, '')}.${use} ${end} Called from ${place}`
    return {
      what: name,
      aspect: 'call-site',
      from: to - 1,
      to,
      place,
      at,
      why: reason,
      severity: 'WARNING',
      message,
    }
  }
}
