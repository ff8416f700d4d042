import type { Reminders } from '../reminders.js'
import type { Scores } from '../scores.js'
import type { Command, Say } from './command.js'
import { forgetCommand } from './forget.js'
import { leaderboardCommand, type ShowScores } from './leaderboard.js'
import { remindCommand } from './remind.js'
import { remindersCommand, type FindReminders } from './reminders.js'
import { translateCommand, type Translate } from './translate.js'

/** What the commands work with. */
export interface CommandParts {
  /** The version of the bot speaks; all else is common to all versions. */
  readonly say: Say
  readonly reminders: Reminders
  readonly findReminders: FindReminders
  readonly scores: Scores
  readonly translate: Translate
  /** How this guild sees its leaderboard. */
  readonly showScores: (guildId: string) => ShowScores
}

export function createCommands({ say, ...parts }: CommandParts): Command[] {
  return [
    remindCommand(parts.reminders, parts.scores, say),
    remindersCommand(parts.findReminders, say),
    forgetCommand(parts.reminders, say),
    leaderboardCommand(parts.scores, parts.showScores, say),
    translateCommand(parts.translate, say),
  ]
}
