export { FencedError } from './errors.js'
export {
  kubernetesApi,
  kubernetesApiDefaults,
  type KubernetesApi,
  type KubernetesApiDefaults,
  type KubernetesApiOptions,
  type KubernetesCallOptions,
} from './kubernetes/api.js'
export { KubernetesObjectError, KubernetesRefusedError, KubernetesUnavailableError } from './kubernetes/errors.js'
export { httpRouteWeights, type HttpRouteWeightsOptions } from './kubernetes/http-route-weights.js'
export {
  kubernetesSlot,
  kubernetesSlotDefaults,
  type KubernetesSlotDefaults,
  type KubernetesSlotOptions,
} from './kubernetes/kubernetes-slot.js'
export type { KubernetesObject, KubernetesResource } from './kubernetes/resources.js'
export {
  serviceSelector,
  serviceSelectorDefaults,
  type ServiceSelectorDefaults,
  type ServiceSelectorOptions,
} from './kubernetes/service-selector.js'
export type { RoutedStatus, TrafficShare } from './kubernetes/share.js'
export {
  TrafficRouter,
  trafficRouterDefaults,
  type RoutedBlueGreen,
  type TrafficChange,
  type TrafficDrained,
  type TrafficDrainOptions,
  type TrafficRouterDefaults,
  type TrafficRouterEvents,
  type TrafficRouterOptions,
  type TrafficRouterStatus,
} from './kubernetes/traffic-router.js'
export type { TrafficTarget } from './kubernetes/traffic-target.js'
export type { Severity } from './changes.js'
export type { Clock, HealthStatus } from './ports.js'
export { NotBegunError, OutcomeUnknownError, ShedError, SlotStartError } from './slots/errors.js'
export type { HttpSlotOptions } from './slots/http-slot.js'
export type {
  Delivery,
  MemoryReading,
  RestartPolicy,
  Slot,
  SlotDeath,
  SlotDrained,
  SlotDrainOptions,
} from './slots/slot.js'
export type { Effects } from './slots/worker-options.js'
