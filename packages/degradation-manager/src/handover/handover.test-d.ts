// What must and what must not compile. Checked by tsc; never run.
import { DegradationManager, guard } from '../index.js'
import { handOver, httpTaker, takeEvents, type EventTaker } from '../handover.js'

interface Command {
  readonly id: string
  readonly text: string
}
declare const deputy: EventTaker<Command, string>
declare const byText: EventTaker<{ text: string }, string>
declare const silent: EventTaker<Command, void>
const note = async (command: Command, loud?: boolean): Promise<string> => `${command.text} ${loud}`

guard('notes', note, { fallback: handOver(deputy, { key: ({ id }) => id }) })
guard('notes', note, { fallback: [handOver(deputy, { key: () => '1' }), () => 'later'] })
guard('notes', note, { fallback: handOver(byText, { key: ({ id }: Command) => id, event: ({ text }) => ({ text }) }) })
guard('notes', async (_command: Command): Promise<void> => {}, { fallback: handOver(silent, { key: ({ id }) => id }) })
new DegradationManager({ features: { notes: {} } }).guard('notes', note, {
  fallback: handOver(httpTaker<Command, string>({ url: 'http://deputy', secret: 'sixteen-characters' }), {
    key: ({ id }) => id,
    timeoutMs: 500,
  }),
})
const id = { key: () => '1' }
const count = async (command: Command): Promise<number> => command.text.length
const shout = async (text: string): Promise<string> => text
// @ts-expect-error an answer of another type
guard('notes', count, { fallback: handOver(deputy, id) })
// @ts-expect-error an event of another type
guard('notes', shout, { fallback: handOver(deputy, id) })
// @ts-expect-error no key
handOver(deputy, {})
// @ts-expect-error the deputy wants something else
handOver(byText, { key: ({ id }: Command) => id, event: ({ id }) => ({ id }) })
const secret = 'sixteen-characters'
takeEvents({ secret, handle: ({ text }: Command, { key, signal }) => `${text}${key}${signal.aborted}` })
// @ts-expect-error no handler
takeEvents({ secret })
