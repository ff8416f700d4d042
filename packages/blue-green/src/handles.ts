import { DrivenDeployment, type DeploymentDriver, type DeploymentResult, type DeploymentStatus } from './deployment.js'
import type { Forecast } from './judgement/forecast.js'

/** The deployments as the users of this process hold them. */
export class Handles {
  readonly #driver: DeploymentDriver
  #last: DrivenDeployment | undefined
  #found: DrivenDeployment | undefined

  constructor(driver: DeploymentDriver) {
    this.#driver = driver
  }

  /** Of the deployment that this process has driven last, running or over. */
  get last(): DrivenDeployment | undefined {
    return this.#last
  }

  /** Of this deployment, whether this process has driven it or has found it at its end. */
  of(deploymentId: string | undefined): DrivenDeployment | undefined {
    return [this.#found, this.#last].find((each) => each?.id === deploymentId)
  }

  /** Whether users hold this deployment as one that goes on here. */
  isFollowing(deploymentId: string): boolean {
    return this.#last?.id === deploymentId && !this.#last.isFinished
  }

  /** It goes on here: a new one, one of another process, or one that had ended here and does so no more. */
  follow(status: DeploymentStatus, foreseen: Forecast): void {
    const before = [this.#last, this.#found]
    this.#last = new DrivenDeployment(status, foreseen, this.#driver)
    this.#found = undefined
    for (const each of before) if (each?.id === status.id) each.goesOnAs(this.#last)
  }

  /** It was over when this process came, and can be looked at, and taken back, like one that ended here. */
  foundOver(status: DeploymentStatus, foreseen: Forecast, result: DeploymentResult): void {
    const last = this.#last?.id === status.id ? this.#last : undefined
    if (last?.outcome === result.outcome) return
    this.#found = new DrivenDeployment(status, foreseen, this.#driver)
    this.#found.finish(result)
    last?.goesOnAs(this.#found)
  }
}
