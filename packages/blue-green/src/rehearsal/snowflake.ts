/** Discord counts from the first ms of 2015. @see https://discord.com/developers/docs/reference#snowflakes */
export const discordEpoch: number = Date.UTC(2015, 0, 1)

/** Below the time of a snowflake: 5 bits of a worker, 5 of a process, 12 of a counter. */
const lowBits = 22n

const maxSnowflake = 2n ** 64n - 1n

/** Whether a text is the id of a guild, a user, a message: 15 to 20 digits that fit into 64 bits. */
export function isSnowflake(text: string): boolean {
  return /^[1-9]\d{14,19}$/.test(text) && BigInt(text) <= maxSnowflake
}

/** When what a snowflake names was made, in epoch ms. */
export function timeOf(snowflake: string): number {
  return Number(BigInt(snowflake) >> lowBits) + discordEpoch
}

/** @param low - what stands below the time, from 0 to 2^22 - 1 */
export function snowflakeAt(ms: number, low: number): string {
  return String((BigInt(Math.floor(ms) - discordEpoch) << lowBits) | BigInt(low))
}
