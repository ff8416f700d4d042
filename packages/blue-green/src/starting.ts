import type { Deployment } from './deployment.js'

/** A `deploy` that the store has not confirmed. */
export interface Starting {
  readonly id: string
  readonly to: string
  readonly promise: Promise<Deployment>
  resolve(deployment: Deployment): void
  reject(error: Error): void
}

export function makeStarting(id: string, to: string): Starting {
  let resolve!: Starting['resolve']
  let reject!: Starting['reject']
  const promise = new Promise<Deployment>((...settle) => ([resolve, reject] = settle))
  return { id, to, promise, resolve, reject }
}
