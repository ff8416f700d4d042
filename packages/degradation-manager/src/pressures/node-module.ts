/** A module of Node's own, loaded when it is first needed: to import it would slow down every bot that never does. */
export const nodeModule = ((id: string) => process.getBuiltinModule(id)) as typeof process.getBuiltinModule
