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
      try {
        const report = source?.components.get(name)
        if (report === undefined) throw new TypeError('the health source has no component of that name')
        const { status, reason } = report
        checkStatus(status)
        this.#read('component', name)
        return [{ type: 'component', name, status, reason }]
      } catch (error) {
        this.#unread('component', name, describeError(error))
        return []
      }
    })
    return this.#isOverallAsked ? [...inputs, ...this.#overall(source)] : inputs
  }

  #overall(source: Settings['health']): Input[] {
    try {
      const status = source?.status
      checkStatus(status)
      const bad = [...(source?.components ?? [])].filter(([, report]) => report.status === status)
      const reason = bad.map(([name, report]) => `${name}: ${report.reason}`).join(', ')
      this.#read('health', 'overall')
      return [{ type: 'health', status, reason }]
    } catch (error) {
      this.#unread('health', 'overall', describeError(error))
      return []
    }
  }

  pressures(): Input[] {
    return [...this.#pressures].flatMap((name): Input[] => {
      try {
        const value = this.#settings.pressures.get(name)?.()
        if (value === undefined || !Number.isFinite(value)) {
          dropPromise(value)
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
        if (typeof isOn !== 'boolean') {
          dropPromise(isOn)
          throw new TypeError(`it is ${describeError(isOn)}, neither true nor false`)
        }
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

/** What is none of ours must not pass for "up". */
function checkStatus(status: unknown): asserts status is ComponentReport['status'] {
  if (statuses.includes(status)) return
  throw new TypeError(`its status is ${String(status)}, not up, degraded, down or unknown`)
}

/** Of an asynchronous function where a synchronous one belongs: nobody else has it, and if it rejects the process ends. */
function dropPromise(value: unknown): void {
  Promise.resolve(value).catch(() => undefined)
}
