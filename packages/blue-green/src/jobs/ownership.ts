import type { JobOwner } from './ports.js'
import type { OwnerKind } from './records.js'

/** That the jobs are this process's. */
export interface Ownership {
  readonly kind: OwnerKind
  readonly epoch: number
  /** Whose code is to run. */
  readonly version: string
}

/** Whether epochs of an owner are those of processes, or of versions in one. @throws TypeError when it is no owner */
export function kindOf(owner: JobOwner): OwnerKind {
  const { status } = Object(owner) as { readonly status?: unknown }
  if (typeof status === 'object' && status !== null) {
    if ('role' in status) return 'process'
    if ('controller' in status) return 'version'
  }
  throw new TypeError('owner must be a GaplessRestart, where several processes run, or a BlueGreen, where one does')
}

/** `undefined` while the jobs are somebody else's, or nobody's. */
export function ownershipOf(owner: JobOwner): Ownership | undefined {
  const { status } = owner
  const { epoch } = status
  if ('role' in status) {
    return status.role === 'owner' ? { kind: 'process', epoch, version: status.ownerVersion ?? '' } : undefined
  }
  return status.controller === 'DRIVING' ? { kind: 'version', epoch, version: status.active } : undefined
}
