/**
 * A module of Node's own, loaded when a check looks for the first time. To import those of all checks would take longer
 * than to load everything else in this package, also for a bot that uses none of them.
 */
export const onDemand = ((id: string) => process.getBuiltinModule(id)) as typeof process.getBuiltinModule
