import { ControllerLease } from './controller-lease.js'
import type { DriverHooks, Life } from './driver-life.js'
import { newInstance, type DriverParts } from './driver-parts.js'
import { EvidenceShelf } from './evidence-shelf.js'
import { FlagInForce } from './flag-in-force.js'
import { Journal } from './journal.js'
import { Knowledge } from './knowledge.js'
import { Observer } from './observer.js'
import type { RolloutSettings } from './rollout-settings.js'
import { SwitchOff } from './switch-off.js'
import type { PlanInForce } from './transitions.js'

/** Puts together what a driver needs from a start to the next stop. */
export function beginLife(settings: RolloutSettings, parts: DriverParts, hooks: DriverHooks, plan: PlanInForce): Life {
  const { flags, flag, store, key, clock, timeoutMs, leaseMs } = settings
  const instance = newInstance()
  const access = { store, key, clock, timeoutMs, leaseMs, instance }
  const lease = new ControllerLease(access)
  const shelf = new EvidenceShelf(access, () => lease.record?.evidence ?? null)
  const journal = new Journal({ flags, flag, plan, instance, clock }, lease, shelf)
  const inForce = new FlagInForce(settings)
  return {
    settings,
    hooks,
    journal,
    observer: new Observer(settings, parts, instance),
    inForce,
    knowledge: new Knowledge(),
    switchOff: new SwitchOff(journal, inForce, plan),
    power: undefined,
    lastLookMs: undefined,
    hasSeenTrouble: false,
    batchAtMs: undefined,
  }
}
