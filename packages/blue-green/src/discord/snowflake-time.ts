/** Discord counts time from the first second of 2015. @see https://discord.com/developers/docs/reference#snowflakes */
const discordEpochMs = 1_420_070_400_000

/**
 * When Discord made the thing with this id, in epoch ms of Discord's clock.
 *
 * @throws TypeError when it is no id of Discord
 */
export function snowflakeMs(id: string): number {
  if (typeof id !== 'string' || !/^\d{1,20}$/.test(id)) {
    throw new TypeError(`an id of Discord is a string of up to 20 digits, not ${String(id)}`)
  }
  return Number(BigInt(id) >> 22n) + discordEpochMs
}
