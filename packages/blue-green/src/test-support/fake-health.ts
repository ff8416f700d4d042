import type { HealthStatus } from '../ports.js'

/** Health as a test sets it. */
export class FakeHealth {
  status: HealthStatus = 'up'
  components: ReadonlyMap<string, { status: HealthStatus; reason: string }> = new Map()
  readonly #listeners = new Set<() => void>()

  on(_event: 'change', listener: () => void): void {
    this.#listeners.add(listener)
  }

  off(_event: 'change', listener: () => void): void {
    this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  becomes(status: HealthStatus, reason: string = status): void {
    this.status = status
    this.components = new Map([['database', { status, reason }]])
    for (const listener of this.#listeners) listener()
  }
}
