/** What members ask for, and how often. */
export interface TrafficPart {
  readonly name: string
  readonly weight: number
  readonly options?: Readonly<Record<string, string>>
}

/** The mix that the demo sends. The stand-in puts each event's id in place of `{id}`. */
export function traffic({ remindIn }: { remindIn: string }): TrafficPart[] {
  return [
    { name: 'remind', weight: 35, options: { in: remindIn, text: 'tea {id}' } },
    { name: 'reminders', weight: 20 },
    { name: 'forget', weight: 5 },
    { name: 'leaderboard', weight: 10 },
    { name: 'translate', weight: 30, options: { text: 'hello my friend, where is the treasure?' } },
  ]
}

/** The id of the event that asked for a reminder, read from the reminder's text. */
export function askedBy(text: string): string | undefined {
  return /tea (\d+)/.exec(text)?.[1]
}
