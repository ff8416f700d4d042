/** What members ask for, and how often. */
export interface TrafficPart {
  readonly name: string
  readonly weight: number
  readonly options?: Readonly<Record<string, string>>
}

/**
 * The mix that the demo sends. The stand-in puts each event's id in place of `{id}`.
 *
 * Each reminder becomes a message, and Discord lets a bot send fifty of those a second: so many reminders must not fall
 * due, or they would be late through no fault of the bot.
 */
export function calmTraffic(remindIn: string): TrafficPart[] {
  return mix(remindIn, { remind: 25, reminders: 25, forget: 5, leaderboard: 10, translate: 35 })
}

/** Everybody has found the translator. */
export function peakTraffic(remindIn: string): TrafficPart[] {
  return mix(remindIn, { remind: 6, reminders: 14, forget: 5, leaderboard: 10, translate: 65 })
}

const optionsOf: Readonly<Record<string, (remindIn: string) => Readonly<Record<string, string>>>> = {
  remind: (remindIn) => ({ in: remindIn, text: 'tea {id}' }),
  translate: () => ({ text: 'hello my friend' }),
}

function mix(remindIn: string, weights: Readonly<Record<string, number>>): TrafficPart[] {
  return Object.entries(weights).map(([name, weight]) => {
    const options = optionsOf[name]?.(remindIn)
    return options === undefined ? { name, weight } : { name, weight, options }
  })
}

/** The id of the event that asked for a reminder, read from the reminder's text. */
export function askedBy(text: string): string | undefined {
  return /tea (\d+)/.exec(text)?.[1]
}
