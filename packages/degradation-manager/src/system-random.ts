/** The machine's chance, from 0 to below 1. */
export const systemRandom = (): number => Math.random()
