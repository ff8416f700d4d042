import type { FlagContext } from '../context.js'
import { within } from '../deadline.js'
import type { DriverParts, Meter } from './driver-parts.js'
import type { FlagProblem } from './decision.js'
import type { Evidence } from './evidence.js'
import { foresightOf, trafficOf, type Foresight } from './foresight.js'
import { readMeasures } from './measures.js'
import type { RolloutMeasures } from './rollout-options.js'
import type { PhaseJudgement } from './rollout-judge.js'
import type { RolloutVerdict } from './rollout-ports.js'
import type { RolloutSettings } from './rollout-settings.js'
import { heldOffBy, TallyExchange } from './tally-exchange.js'
import { countTallies, type Counted, type TallyDifference } from './tally.js'
import { ActiveGuilds, addAfterwards, addTraffic, noTraffic, type Traffic } from './traffic.js'
import type { Run } from './transitions.js'
import { messageOf } from './validation.js'

/** What is seen in one look at all processes. */
export interface Observation {
  readonly evidence: Evidence
  readonly verdict: RolloutVerdict
  /** What keeps the flag off in another process. */
  readonly problem: FlagProblem | undefined
}

/** Looks at what all processes have counted, and has it judged. */
export class Observer {
  readonly #settings: RolloutSettings
  readonly #judge: DriverParts['judge']
  readonly #meter: Meter
  readonly #exchange: TallyExchange
  readonly #guilds = new ActiveGuilds()
  #verdict: RolloutVerdict | undefined
  #hasToldNonsense = false

  /** @param instance - this process, as long as it is started */
  constructor(settings: RolloutSettings, parts: DriverParts, instance: string) {
    const { store, key, clock, timeoutMs, leaseMs, intervalMs } = settings
    const staleMs = Math.max(leaseMs, 4 * intervalMs)
    this.#settings = settings
    this.#judge = parts.judge
    this.#meter = parts.meter(instance)
    this.#exchange = new TallyExchange({ store, prefix: `${key}/tally/`, instance, clock, timeoutMs, staleMs })
  }

  /** What the judge said last. */
  get verdict(): RolloutVerdict | undefined {
    return this.#verdict
  }

  start(): void {
    this.#meter.start()
  }

  /** Counts no more. */
  stop(): void {
    this.#meter.stop()
  }

  /** Takes back what this process has shown to others. Never rejects. */
  async leave(): Promise<void> {
    await this.#exchange.stop()
  }

  /** A user complained. */
  report(context: FlagContext): void {
    this.#meter.report(context)
  }

  /** Shows the driver what this process has counted. @throws RolloutStoreError */
  async show(): Promise<void> {
    const { flags, flag } = this.#settings
    await this.#exchange.show(this.#meter.take(), flags.status(flag).state)
  }

  /** Where a new run begins: it is judged by what happens from now on. @throws RolloutStoreError */
  async fresh(last: Evidence | undefined): Promise<Evidence> {
    const tallies = [this.#meter.take(), ...(await this.#exchange.others())]
    const traffic = { ...(last?.traffic ?? noTraffic), after: null }
    return {
      judge: this.#learnt(last) ?? this.#judge.start(),
      counted: countTallies({}, tallies).counted,
      traffic,
    }
  }

  /** What is kept of a run that is over: enough for another one to begin with, or to validate a late rollback. */
  keepsake(last: Evidence): Evidence {
    return { judge: this.#learnt(last) ?? null, counted: {}, traffic: { ...last.traffic, after: null } }
  }

  #learnt(last: Evidence | undefined): unknown {
    try {
      return last === undefined || last.judge === null ? undefined : this.#judge.startAgain?.(last.judge)
    } catch {
      // What an older release has left may be of no use.
      return undefined
    }
  }

  /** Reads and judges. Without the others' tallies it is judged by one's own alone. Never rejects. */
  async observe(run: Run, known: Evidence, tookMs: number): Promise<Observation> {
    const [{ counted, differences, problem }, measures] = await Promise.all([
      this.#count(known.counted),
      this.#measure(),
    ])
    try {
      const interval = { ...measures, tookMs, phase: run.phase, processes: differences }
      const judge = this.#judge.observe(known.judge, interval)
      this.#verdict = this.#judge.judge(judge, run.acknowledged)
      const traffic = this.#guilds.add(addTraffic(known.traffic, tookMs, differences), tookMs, differences)
      return { evidence: { judge, counted, traffic }, verdict: this.#verdict, problem }
    } catch (error) {
      this.#verdict = { action: 'PAUSE', why: `the judge failed: ${messageOf(error)}` }
      // What it could not take in is still to be counted.
      return { evidence: known, verdict: this.#verdict, problem }
    }
  }

  /** Reads what the old path does after a rollback. Never rejects. */
  async lookBack(known: Evidence): Promise<Evidence> {
    const { counted, differences } = await this.#count(known.counted)
    return { ...known, counted, traffic: addAfterwards(known.traffic, differences) }
  }

  async #count(before: Counted): Promise<{
    counted: Counted
    differences: readonly TallyDifference[]
    problem: FlagProblem | undefined
  }> {
    const own = this.#meter.take()
    const others = await this.#exchange.others().catch(() => undefined)
    const all = countTallies(before, [own, ...(others ?? [])], others !== undefined)
    return { ...all, problem: heldOffBy(others ?? []) }
  }

  /** What the evidence will be able to show; `undefined` while the traffic is not known. Never throws. */
  foresee(traffic: Traffic): Foresight | undefined {
    const known = trafficOf(traffic)
    try {
      const phases = known && this.#judge.powers?.(known)
      return known && phases && foresightOf(known, phases)
    } catch {
      return undefined
    }
  }

  /** What to do when the time of a phase is over. Never throws. */
  endPhase(judge: unknown, { acknowledged, phase }: Run): PhaseJudgement {
    try {
      return this.#judge.endPhase(judge, acknowledged, phase)
    } catch (error) {
      return { action: 'hold', why: `the judge failed: ${messageOf(error)}` }
    }
  }

  /** What is not measured is no evidence, and no error. Nonsense is told once. */
  async #measure(): Promise<RolloutMeasures> {
    const { measure, clock, checkTimeoutMs } = this.#settings
    if (measure === undefined) return {}
    try {
      const { measures, nonsense } = readMeasures(await within(clock, checkTimeoutMs, 'measure', async () => measure()))
      if (nonsense.length > 0 && !this.#hasToldNonsense) {
        this.#hasToldNonsense = true
        const name = JSON.stringify(this.#settings.flag)
        const message = `In the rollout of ${name}, measure gave nonsense for ${nonsense.join(', ')}; that is not judged`
        process.emitWarning(message, { type: 'EvenkeelWarning', code: 'EVENKEEL_MEASURE' })
      }
      return measures
    } catch {
      return {}
    }
  }
}
