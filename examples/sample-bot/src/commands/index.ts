import type { Reminders } from '../reminders.js'
import type { Scores } from '../scores.js'
import type { Command } from './command.js'
import { forgetCommand } from './forget.js'
import { leaderboardCommand, type ShowScores } from './leaderboard.js'
import { remindCommand } from './remind.js'
import { remindersCommand, type FindReminders } from './reminders.js'
import { translateCommand, type Translate } from './translate.js'

/** What the commands work with. All versions of the bot share it. */
export interface CommandParts {
  readonly reminders: Reminders
  readonly findReminders: FindReminders
  readonly scores: Scores
  readonly translate: Translate
  /** How this guild sees its leaderboard. */
  readonly showScores: (guildId: string) => ShowScores
}

export function createCommands(parts: CommandParts, { numbered = false } = {}): Command[] {
  return [
    remindCommand(parts.reminders, parts.scores),
    remindersCommand(parts.findReminders, numbered),
    forgetCommand(parts.reminders),
    leaderboardCommand(parts.scores, parts.showScores),
    translateCommand(parts.translate),
  ]
}
