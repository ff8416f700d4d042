/** Chance that needs to be different each time, not secret. */
export const systemRandom = (): number => Math.random()
