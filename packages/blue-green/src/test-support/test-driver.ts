import { FakeClock } from '@evenkeel/testing'
import type { BlueGreenChange } from '../changes.js'
import type { DeploymentResult } from '../deployment.js'
import type { DriverHooks } from '../driver-hooks.js'
import { Driver } from '../driver.js'
import { readDeployOptions } from '../deploy-options.js'
import { readOptions, type BlueGreenOptions, type Settings, type Versions } from '../options.js'
import { FaultyStore } from './faulty-store.js'
import { plan } from './test-bot.js'

/** A driver whose versions are made ready and given up as the test says. */
export class TestDriver {
  readonly clock = new FakeClock()
  readonly driver: Driver
  readonly settings: Settings
  readonly changes: BlueGreenChange[] = []
  readonly staged: string[] = []
  readonly retired: string[] = []
  readonly signals: AbortSignal[] = []
  readonly results: DeploymentResult[] = []

  constructor(
    readonly store: FaultyStore = new FaultyStore(),
    /** How a version gets ready. */
    stage: (version: string) => Promise<void> = () => Promise.resolve(),
    options: Partial<BlueGreenOptions<Versions<unknown>>> = {},
    hooks: Partial<DriverHooks> = {},
  ) {
    this.settings = readOptions({
      versions: { v1: () => 1, v2: () => 2 },
      initial: 'v1',
      context: () => ({ eventId: null }),
      store,
      clock: this.clock,
      ...options,
    })
    this.driver = new Driver(this.settings, {
      announce: (changes) => this.changes.push(...changes),
      finished: (_, result) => this.results.push(result),
      began: () => undefined,
      drained: () => Promise.resolve(0),
      startLater: () => undefined,
      call: () => Promise.resolve(),
      counters: () => new Map(),
      fares: () => ({ started: 0, succeeded: 0, failed: 0, userErrors: 0, running: 0, guilds: 0, failingGuilds: 0 }),
      events: () => 0,
      stage: (version, signal) => {
        this.staged.push(version)
        this.signals.push(signal)
        return stage(version)
      },
      retire: (version) => this.retired.push(version),
      ...hooks,
    })
  }

  /** Opens, and deploys `v2`. */
  async deploys(options: object = plan): Promise<ReturnType<Driver['deploy']>> {
    await this.driver.open(new AbortController().signal)
    return this.driver.deploy('v2', readDeployOptions(options, this.settings))
  }

  get phase(): string {
    return this.driver.state.deployment?.phase ?? 'IDLE'
  }

  get percentage(): number {
    return this.driver.state.deployment?.percentage ?? 0
  }

  /** The messages of what wants a human now. */
  get critical(): string[] {
    return this.changes.filter(({ severity }) => severity === 'CRITICAL').map(({ message }) => message)
  }
}
