import fc from 'fast-check'
import { someGuilds, type BotProcess, type BotProcesses } from './bot-processes.js'

const why = 'a test'
const lost = new Error('the connection was lost')

/** Something that happens to one of three processes. */
export type BotEvent =
  | { readonly is: 'on' | 'off'; readonly of: number; readonly flag: 'search' | 'digest' }
  | { readonly is: 'all on' | 'all off'; readonly of: number }
  | { readonly is: 'percentage' | 'share'; readonly of: number; readonly flag: 'search' | 'digest'; readonly n: number }
  | { readonly is: 'override'; readonly of: number; readonly guild: number; readonly value: boolean | undefined }
  | { readonly is: 'down' | 'mute' | 'deaf' | 'up'; readonly of: number }
  | { readonly is: 'time'; readonly of: number; readonly ms: number }

const of = fc.nat(2)
const flag = fc.constantFrom('search' as const, 'digest' as const)
/** Any of them. */
export const anyEvent: fc.Arbitrary<BotEvent> = fc.oneof(
  fc.record({ is: fc.constantFrom('on', 'off'), of, flag }),
  fc.record({ is: fc.constantFrom('all on', 'all off'), of }),
  fc.record({ is: fc.constant('percentage' as const), of, flag, n: fc.nat(100) }),
  // Few sequences, so that some come twice.
  fc.record({ is: fc.constant('share' as const), of, flag, n: fc.nat(9) }),
  fc.record({
    is: fc.constant('override' as const),
    of,
    guild: fc.nat(2),
    value: fc.constantFrom(true, false, undefined),
  }),
  fc.record({ is: fc.constantFrom('down', 'mute', 'deaf', 'up'), of }),
  fc.record({ is: fc.constant('time' as const), of, ms: fc.constantFrom(0, 500, 2_500, 6_000) }),
)

/** Lets it happen. @returns the change that it is, if it is one */
export async function happen(
  event: BotEvent,
  processes: BotProcesses,
  { flags, faulty }: BotProcess,
): Promise<unknown> {
  const reason = { why }
  switch (event.is) {
    case 'on':
      return flags.enable(event.flag, reason)
    case 'off':
      return flags.disable(event.flag, reason)
    case 'all on':
      return flags.enableAll(reason)
    case 'all off':
      return flags.disableAll(reason)
    case 'percentage':
      return flags.setPercentage(event.flag, event.n, reason)
    case 'share': {
      const share = { percentage: event.n, targetGuilds: [], sequence: event.n + 1 }
      return flags.setShare(event.flag, share, reason)
    }
    case 'override': {
      const target = { guildId: someGuilds[event.guild] as string }
      if (event.value === undefined) return flags.removeOverride('suggestions', target, reason)
      return flags.override('suggestions', target, event.value, reason)
    }
    case 'down':
      return faulty.down()
    case 'mute':
      // What it writes arrives, and it hears of nothing.
      return faulty.failAlways(lost, { when: 'after' })
    case 'deaf':
      return faulty.hang()
    case 'up':
      return faulty.up()
    case 'time':
      return processes.clock.advance(event.ms)
  }
}
