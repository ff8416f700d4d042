import type { InputChange } from './events.js'
import type { AnyRule, Settings } from './options.js'
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
  readonly #flags: ReadonlySet<string>
  readonly #isOverallAsked: boolean
  readonly #tell: (change: InputChange) => void
  readonly #unreadable = new Set<string>()

  constructor(settings: Settings, tell: (change: InputChange) => void) {
    const named = (of: (rule: AnyRule) => string | undefined): Set<string> =>
      new Set(settings.rules.flatMap((rule) => of(rule) ?? []))
    this.#settings = settings
    this.#components = named((rule) => rule.component)
    this.#pressures = named((rule) => rule.pressure)
    this.#flags = named((rule) => rule.flag)
    this.#isOverallAsked = named((rule) => rule.health).size > 0
    this.#tell = tell
  }

  /** Whether there is anything that must be read again and again, because it does not speak up. */
  get needSampling(): boolean {
    return this.#pressures.size > 0 || this.#areFlagsSilent
  }

  /** Whether flags are asked for that tell when they change. */
  get followFlags(): boolean {
    return this.#flags.size > 0 && !this.#areFlagsSilent
  }

  /** All that is read again and again. */
  samples(): Input[] {
    return [...this.pressures(), ...(this.#areFlagsSilent ? this.flags() : [])]
  }

  /** What the health source says: of the components that rules name, and of the whole. */
  health(): Input[] {
    const source = this.#settings.health
    const inputs = [...this.#components].flatMap((name): Input[] => {
      const report = source?.components.get(name)
      if (report === undefined) {
        this.#unread('component', name, 'the health source has no component of that name')
        return []
      }
      if (!this.#isStatus('component', name, report.status)) return []
      return [{ type: 'component', name, status: report.status, reason: report.reason }]
    })
    if (!this.#isOverallAsked) return inputs
    const status = source?.status
    if (!this.#isStatus('health', 'overall', status)) return inputs
    const bad = [...(source?.components ?? [])].filter(([, report]) => report.status === status)
    const reason = bad.map(([name, report]) => `${name}: ${report.reason}`).join(', ')
    return [...inputs, { type: 'health', status, reason }]
  }

  pressures(): Input[] {
    return [...this.#pressures].flatMap((name): Input[] => {
      try {
        const value = this.#settings.pressures.get(name)?.()
        if (value === undefined || !Number.isFinite(value)) {
          throw new TypeError(`its function gave ${describeError(value)}, not a finite number`)
        }
        this.#read('pressure', name)
        return [{ type: 'pressure', name, value }]
      } catch (error) {
        this.#unread('pressure', name, describeError(error))
        return []
      }
    })
  }

  flags(): Input[] {
    return [...this.#flags].flatMap((name): Input[] => {
      try {
        const isOn: unknown = this.#settings.flags?.isEnabled(name)
        if (typeof isOn !== 'boolean') throw new TypeError(`it is ${describeError(isOn)}, neither true nor false`)
        this.#read('flag', name)
        return [{ type: 'flag', name, isOn }]
      } catch (error) {
        this.#unread('flag', name, describeError(error))
        return []
      }
    })
  }

  get #areFlagsSilent(): boolean {
    const { flags } = this.#settings
    return this.#flags.size > 0 && (typeof flags?.on !== 'function' || typeof flags.off !== 'function')
  }

  /** What is none of ours must not pass for "up". */
  #isStatus(what: 'component' | 'health', name: string, status: unknown): status is ComponentReport['status'] {
    if (statuses.includes(status)) {
      this.#read(what, name)
      return true
    }
    this.#unread(what, name, `its status is ${String(status)}, not up, degraded, down or unknown`)
    return false
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
