import type { DeploymentState } from './transitions.js'

/** Which versions are known to be dead, and why. In memory: after a restart each is staged anew, and shows. */
export class Deaths {
  readonly #dead = new Map<string, string>()

  has(version: string): boolean {
    return this.#dead.has(version)
  }

  whyOf(version: string): string | undefined {
    return this.#dead.get(version)
  }

  add(version: string, why: string): void {
    this.#dead.set(version, why)
  }

  /** @returns whether it was dead */
  remove(version: string): boolean {
    return this.#dead.delete(version)
  }

  /** What speaks against giving green more, or against taking its share back; `undefined` when both live. */
  problem({ from, to }: DeploymentState): string | undefined {
    const [blue, green] = [this.#dead.get(from), this.#dead.get(to)]
    if (blue !== undefined && green !== undefined) return `"${from}" and "${to}" are both dead (${blue}; ${green})`
    if (blue !== undefined) return `"${from}" is dead (${blue}), so nothing can be rolled back to it`
    return green === undefined ? undefined : `"${to}" is dead (${green})`
  }
}
