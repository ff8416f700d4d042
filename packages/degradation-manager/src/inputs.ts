import type { InputChange } from './events.js'
import type { Settings } from './options.js'
import { describeError } from './outcome.js'
import type { ComponentReport } from './ports.js'
import type { Input } from './transitions.js'
import { sentence } from './why.js'

const statuses: readonly unknown[] = ['up', 'degraded', 'down', 'unknown'] satisfies ComponentReport['status'][]

/** Reads what the rules look at, and says once when something cannot be read and once when it can again. */
export class Inputs {
  readonly #settings: Settings
  readonly #components: ReadonlySet<string>
  readonly #pressures: ReadonlySet<string>
  readonly #tell: (change: InputChange) => void
  readonly #unreadable = new Set<string>()

  constructor(settings: Settings, tell: (change: InputChange) => void) {
    this.#settings = settings
    this.#components = new Set(settings.rules.flatMap((rule) => rule.component ?? []))
    this.#pressures = new Set(settings.rules.flatMap((rule) => rule.pressure ?? []))
    this.#tell = tell
  }

  /** Whether there is anything that must be read again and again, because it does not speak up. */
  get needSampling(): boolean {
    return this.#pressures.size > 0
  }

  components(): Input[] {
    const reports = this.#settings.health?.components
    return [...this.#components].flatMap((name) => {
      const report = reports?.get(name)
      if (report === undefined) {
        this.#unread('component', name, 'the health source has no component of that name')
        return []
      }
      // What is none of ours must not pass for "up".
      if (!statuses.includes(report.status)) {
        this.#unread('component', name, `its status is ${String(report.status)}, not up, degraded, down or unknown`)
        return []
      }
      this.#read('component', name)
      return { type: 'component', name, status: report.status, reason: report.reason }
    })
  }

  pressures(): Input[] {
    return [...this.#pressures].flatMap((name) => {
      try {
        const value = this.#settings.pressures.get(name)?.()
        if (value === undefined || !Number.isFinite(value)) {
          throw new TypeError(`its function gave ${describeError(value)}, not a finite number`)
        }
        this.#read('pressure', name)
        return { type: 'pressure', name, value }
      } catch (error) {
        this.#unread('pressure', name, describeError(error))
        return []
      }
    })
  }

  #read(what: InputChange['what'], name: string): void {
    const input = `${what} "${name}"`
    if (!this.#unreadable.delete(input)) return
    this.#tell({
      what,
      name,
      from: 'unreadable',
      to: 'readable',
      at: this.#settings.clock.now(),
      why: 'it gave a value again',
      severity: 'INFO',
      message: `The ${input} can be read again, and its rules follow it.`,
    })
  }

  #unread(what: InputChange['what'], name: string, why: string): void {
    const input = `${what} "${name}"`
    if (this.#unreadable.has(input)) return
    this.#unreadable.add(input)
    this.#tell({
      what,
      name,
      from: 'readable',
      to: 'unreadable',
      at: this.#settings.clock.now(),
      why,
      severity: 'WARNING',
      message: sentence(`The ${input} cannot be read, and its rules stay as they are: ${why}`),
    })
  }
}
