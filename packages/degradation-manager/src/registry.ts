export { NoImplementationError, NotDrainedError } from './registry/errors.js'
export type { RegistryChange, RegistryEvents, RegistryFallback } from './registry/events.js'
export {
  registryDefaults,
  type ChangeSource,
  type DrainOptions,
  type FunctionName,
  type Implementation,
  type RegistryContext,
  type RegistryOptions,
  type UseOptions,
} from './registry/options.js'
export {
  Registry,
  type AsyncFunction,
  type Chosen,
  type PortOf,
  type RegistryExplanation,
} from './registry/registry.js'
