/** Chance, where nobody hands in another. */
export const systemRandom = (): number => Math.random()
