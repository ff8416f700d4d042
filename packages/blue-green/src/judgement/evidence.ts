import {
  GuildHistory,
  Judge,
  type Assessment,
  type JudgeState,
  type MemoryState,
  type Metrics,
} from '@evenkeel/canary-judge'
import { learnSpeed, relativeLatencies, type Speed } from './guild-speeds.js'
import { names, reported, type JudgeSettings, type ReportKind } from './judge-options.js'
import type { Window } from './window.js'

/** Bytes by part of a process's age. */
type Curve = MemoryState['green']

/** What is kept beside the record. Plain JSON. */
export interface StoredEvidence {
  /** The deployment that it is of; `null` while there was none yet. */
  readonly deploymentId: string | null
  readonly whole: JudgeState<Metrics>
  /** By version: what it used, by part of its age. */
  readonly memory: Readonly<Record<string, Curve>>
  /** How long has been looked at in all, in ms: a clock that nobody sets back. */
  readonly elapsedMs: number
  /** Calls of green since the deployment began, and how many of them failed. */
  readonly green: { readonly calls: number; readonly failures: number }
  /** By guild: windows seen, windows with a failure, calls that told its speed, and that. */
  readonly guilds: Readonly<Record<string, readonly [seen: number, affected: number, ...speed: Speed]>>
}

/** What the evidence says. */
export interface Finding {
  readonly verdict: 'SAFE' | 'HARMFUL' | 'UNKNOWN'
  /** Whether a step may end on it. */
  readonly mayAdvance: boolean
  /** Why, as a clause. */
  readonly why: string
  /** The e-value of the whole deployment. */
  readonly evidence: number
}

/** What ordinary traffic looks like, of the last windows. */
export interface OrdinaryTraffic {
  readonly units: number
  readonly affectedRatio: number
  readonly callsPerMinute: number
}

/** So many guilds are remembered; those that were silent longest go first. */
const maxGuilds = 10_000
/** Of an older process no memory is kept: a deployment is over before green is as old. */
const maxAgeMs = 24 * 3_600_000
/** A version of which fewer calls fail is well, even where there are no errors to compare with. */
const rareRatio = 0.001

/** What is known of a deployment, and of the guilds from before. Samples come in windows; each counts once. */
export class Evidence {
  readonly #settings: JudgeSettings
  readonly #judge: Judge<Metrics>
  #deploymentId: string | null = null
  #whole: JudgeState<Metrics>
  /** Of the versions that are compared, and between deployments of the active one: it was young long before the next is deployed. */
  #memory = new Map<string, Curve>()
  #from = ''
  #to = ''
  #elapsedMs = 0
  #green = { calls: 0, failures: 0 }
  /** Ordered by the last window in which each was seen. */
  #guilds = new Map<string, readonly [seen: number, affected: number, ...speed: Speed]>()
  #ordinary: OrdinaryTraffic | undefined
  #finding: Finding | undefined

  constructor(settings: JudgeSettings) {
    this.#settings = settings
    this.#judge = new Judge({ metrics: settings.metrics, falseAlarmRatio: settings.falseAlarmRatio })
    this.#whole = this.#judge.start()
  }

  get ordinary(): OrdinaryTraffic | undefined {
    return this.#ordinary
  }

  get deploymentId(): string | null {
    return this.#deploymentId
  }

  /** A deployment begins without evidence; what is known of the guilds stays. */
  begin(deploymentId: string, from: string, to: string): void {
    this.#finding = undefined
    this.#from = from
    this.#to = to
    if (this.#deploymentId === deploymentId) return
    this.#deploymentId = deploymentId
    this.#whole = this.#judge.start()
    for (const version of this.#memory.keys()) if (version !== from) this.#memory.delete(version)
    this.#green = { calls: 0, failures: 0 }
  }

  restore(stored: StoredEvidence): void {
    this.#finding = undefined
    this.#guilds = new Map(Object.entries(stored.guilds))
    this.#memory = new Map(Object.entries(stored.memory))
    const isSame = Object.keys(this.#settings.metrics).every((name) => Object.hasOwn(stored.whole, name))
    // Evidence by other metrics is of another budget.
    if (!isSame) return
    this.#deploymentId = stored.deploymentId
    this.#whole = stored.whole
    this.#elapsedMs = stored.elapsedMs
    this.#green = { ...stored.green }
  }

  toJSON(): StoredEvidence {
    const guilds = Object.fromEntries(this.#guilds)
    const [deploymentId, whole, elapsedMs] = [this.#deploymentId, this.#whole, this.#elapsedMs]
    const memory = Object.fromEntries(this.#memory)
    return { deploymentId, whole, memory, elapsedMs, green: { ...this.#green }, guilds }
  }

  measureMemory(version: string, ageMs: number, bytes: number): void {
    const { memory } = this.#settings
    if (memory === undefined || ageMs > maxAgeMs) return
    const before = { ...memory.start(), green: this.#memory.get(version) ?? {} }
    const { green, ignored } = memory.observe(before, { side: 'green', ageMs, bytes })
    if (ignored > 0) return
    this.#finding = undefined
    this.#memory.set(version, green)
  }

  /**
   * Adds a window.
   *
   * @param first - guilds that are on green by choice, not by chance: they are compared with nobody
   */
  add(window: Window, first: ReadonlySet<string>, tookMs: number): void {
    this.#finding = undefined
    this.#elapsedMs += tookMs
    const { units, calls, failures } = window
    const isCompared = (id: string): boolean => !first.has(id)
    const seen = [...units].map(([id, unit]) => [id, unit.green ? unit.greenFailed : unit.blueFailed] as const)
    const onGreen = [...units.values()].filter(({ green }) => green).length
    if (onGreen === 0 && units.size > 0) this.#learnOrdinary(window, tookMs)
    const history = new GuildHistory(
      Object.fromEntries([...this.#guilds].map(([id, [windows, affected]]) => [id, [windows, affected] as const])),
    )
    if (onGreen === 0) {
      history.add(seen)
    } else {
      const errors = history.sample(seen, (id) => units.get(id)?.green === true, isCompared)
      this.#observe(names.errors, errors)
      const speeds = {
        get: (id: string): Speed | undefined => speedOf(this.#guilds.get(id)),
        values: () => [...this.#guilds.values()].flatMap((row) => (row[2] > 0 ? [speedOf(row) as Speed] : [])),
      }
      this.#observe(names.latency, relativeLatencies(speeds, units, isCompared))
      const compared = [...units].filter(([id]) => isCompared(id)).map(([, unit]) => unit)
      const users = compared.filter(({ green }) => green).length
      for (const kind of Object.keys(reported) as ReportKind[]) {
        const { green, blue } = window.reports(kind, isCompared)
        this.#observe(reported[kind].name, {
          atMs: this.#elapsedMs,
          green: { reports: green, users },
          blue: { reports: blue, users: compared.length - users },
        })
      }
    }
    this.#green.calls += calls.green
    this.#green.failures += failures.green
    this.#remember(window, history.toJSON())
  }

  /** Asked for with every status, and another one only after something was learned. */
  find(): Finding {
    return (this.#finding ??= this.#judged())
  }

  #judged(): Finding {
    const { verdict, message, evidence, metrics } = this.#judge.judge(this.#whole)
    if (verdict === 'HARMFUL') return { verdict, mayAdvance: false, why: clause(message), evidence }
    const memory = this.#assessMemory()
    const isHeldByMemory = memory?.holdsPhase === true
    if (verdict === 'SAFE') {
      const but = isHeldByMemory ? `, but ${clause(memory.message)}` : ''
      const why = `what is cared about is ruled out: ${clause(message)}${but}`
      return { verdict, mayAdvance: !isHeldByMemory, why, evidence }
    }
    const open = Object.entries<Assessment>(metrics).filter(([name, { holdsPhase }]) => {
      return holdsPhase && !(name === names.errors && this.#failsRarely())
    })
    const all = [...open.map(([, assessment]) => assessment), ...(isHeldByMemory ? [memory] : [])]
    const told = all.map((each) => clause(each.message)).join('; ')
    if (all.length > 0) {
      return { verdict, mayAdvance: false, why: `a harm of three times is not ruled out yet: ${told}`, evidence }
    }
    return { verdict, mayAdvance: true, why: `a harm of three times is ruled out: ${clause(message)}`, evidence }
  }

  /** That green uses more memory, as a clause, where it is known to. */
  memoryProblem(): string | undefined {
    const memory = this.#assessMemory()
    return memory?.holdsPhase === true ? clause(memory.message) : undefined
  }

  #assessMemory(): Assessment | undefined {
    const curveOf = (version: string): Curve => this.#memory.get(version) ?? {}
    return this.#settings.memory?.assess({ green: curveOf(this.#to), blue: curveOf(this.#from), ignored: 0 }, 'memory')
  }

  /** Where next to nothing fails there is nothing to compare: thousands of calls say so. */
  #failsRarely(): boolean {
    const { calls, failures } = this.#green
    return calls > 0 && (failures + 3 * Math.sqrt(failures) + 3) / calls < rareRatio
  }

  #observe(name: string, sample: object): void {
    if (Object.hasOwn(this.#settings.metrics, name)) this.#whole = this.#judge.observe(this.#whole, name, sample)
  }

  #learnOrdinary({ units, calls, failures }: Window, tookMs: number): void {
    const affected = [...units.values()].filter(({ blueFailed }) => blueFailed).length
    const now = {
      units: units.size,
      affectedRatio: failures.blue === 0 ? 0 : affected / units.size,
      callsPerMinute: (calls.blue * 60_000) / tookMs,
    }
    const before = this.#ordinary ?? now
    const blend = (old: number, next: number): number => old + (next - old) / 6
    this.#ordinary = {
      units: blend(before.units, now.units),
      affectedRatio: blend(before.affectedRatio, now.affectedRatio),
      callsPerMinute: blend(before.callsPerMinute, now.callsPerMinute),
    }
  }

  #remember({ units }: Window, windows: Readonly<Record<string, readonly [number, number]>>): void {
    for (const [id, { blueMs, green }] of units) {
      const before = this.#guilds.get(id)
      const speed: Speed = before === undefined ? [0, 0] : [before[2], before[3]]
      const [seen = 0, affected = 0] = windows[id] ?? []
      this.#guilds.delete(id)
      this.#guilds.set(id, [seen, affected, ...(blueMs === undefined || green ? speed : learnSpeed(speed, blueMs))])
    }
    for (const id of this.#guilds.keys()) {
      if (this.#guilds.size <= maxGuilds) return
      this.#guilds.delete(id)
    }
  }
}

function speedOf(row: readonly [number, number, ...Speed] | undefined): Speed | undefined {
  return row && [row[2], row[3]]
}

/** Messages come with their full stop. */
function clause(message: string): string {
  return message.replace(/\.$/, '')
}
