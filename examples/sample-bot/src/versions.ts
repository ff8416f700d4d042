/** A reminder as a version speaks of it. */
export interface Promised {
  readonly text: string
  readonly dueAt: number
}

/** What there is to say. The bot has found it or worked it out; how it is said is up to the version. */
export type Subject =
  | { readonly about: 'version' }
  | { readonly about: 'remind'; readonly promised: Promised | undefined }
  | { readonly about: 'reminders'; readonly found: readonly Promised[] }
  | { readonly about: 'forget'; readonly forgotten: string | undefined }
  | { readonly about: 'leaderboard'; readonly scores: string }
  | { readonly about: 'translate'; readonly translated: string }

/** What a version is asked: plain data, for it is answered in another process. */
export interface Question {
  /** The id of the command. */
  readonly id: string
  readonly guildId: string | null
  readonly userId: string | null
  /** How the member is called in this guild; `null` for most. */
  readonly nickname: string | null
  readonly subject: Subject
}

/**
 * A version of the bot: how it speaks. It stores nothing and sends nothing, so a question that is asked twice, since the first
 * process died over it, has the same answer and does no harm.
 */
export type Version = (question: Question) => string | Promise<string>

/** The version that runs first. */
const v1: Version = ({ subject }) => {
  switch (subject.about) {
    case 'version':
      return `process ${process.pid}`
    case 'remind':
      if (subject.promised === undefined) return 'Say when as 10s, 5m, 2h or 1d, a year at most.'
      return `I will remind you ${line(subject.promised)}`
    case 'reminders':
      return list(subject.found.map(line))
    case 'forget':
      return subject.forgotten === undefined ? 'There is nothing to forget.' : `Forgotten: ${subject.forgotten}`
    case 'leaderboard':
      return subject.scores === '' ? 'Nobody has asked for a reminder yet.' : subject.scores
    case 'translate':
      return subject.translated
  }
}

/** Numbers the lines of `/reminders`. */
const v2: Version = (question) => {
  const { subject } = question
  if (subject.about !== 'reminders') return v1(question)
  return list(subject.found.map((found, index) => `${index + 1}. ${line(found)}`))
}

/** A version with an honest mistake. */
const v3: Version = (question) => {
  greet(question)
  return v2(question)
}

/** The same mistake in a callback, where nothing catches it: it ends the process, with all that it has in hand. */
const v4: Version = (question) =>
  new Promise((resolve) => {
    setTimeout(() => {
      greet(question)
      resolve(v2(question))
    }, 10)
  })

/** All versions, by name. */
export const versions = { v1, v2, v3, v4 } as const satisfies Readonly<Record<string, Version>>

/** The name of a version. */
export type VersionName = keyof typeof versions

function greet({ nickname, subject }: Question): void {
  // Most members have no nickname, and the one who wrote this has. No member asks for the version.
  if (subject.about !== 'version' && nickname!.trim() === '') console.warn('A member has an empty nickname')
}

/** Discord shows `<t:...:R>` as "in 10 minutes". */
function line({ text, dueAt }: Promised): string {
  return `<t:${Math.floor(dueAt / 1_000)}:R>: ${text}`
}

function list(lines: readonly string[]): string {
  return lines.length === 0 ? 'You have no reminders here.' : lines.join('\n').slice(0, 2_000)
}
