import { fmix32 } from './murmur3.js'

/**
 * A bucket is 32 hashed bits of an id, moved down by 2^31 so that it is a small signed integer. An id belongs to a
 * percentage when its bucket lies below the threshold. The bucket never moves and the threshold only rises with the
 * percentage, so raising a percentage only ever adds ids.
 */
const HALF = 2 ** 31

/** The threshold below which no bucket lies. */
export const NOBODY: number = -HALF

/** The threshold below which every bucket lies. */
export const EVERYONE: number = HALF

/**
 * Where an id stands in the order that a salt shuffles all ids into.
 *
 * Hashing both apart and mixing them afterwards lets a scope hash its id once for all flags.
 */
export function bucketOf(idHash: number, saltHash: number): number {
  return fmix32(idHash ^ saltHash) ^ NOBODY
}

/** @param percentage - 0 to 100 */
export function thresholdOf(percentage: number): number {
  return Math.round((percentage / 100) * 2 ** 32) - HALF
}

/** A bucket as a place between 0 and 100, for people to compare with a percentage. */
export function placeOf(bucket: number): number {
  return ((bucket + HALF) / 2 ** 32) * 100
}

/** Upper thresholds that cut the order of all ids into shares of the given weights, in the order of the weights. */
export function cuts(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let below = 0
  return weights.map((weight) => thresholdOf(((below += weight) / total) * 100))
}
