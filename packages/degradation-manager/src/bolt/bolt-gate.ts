import { Gate, type Visit } from '../gate/gate.js'
import { gateSettings, type CommandRule, type GateOptions } from '../gate/gate-options.js'
import { idOf, type Answer, type BoltArgs, type SlackBody } from './bolt-args.js'

/** What a {@link boltGate} is made of. */
export interface BoltGateOptions<
  Feature extends string,
  Flag extends string,
  Args extends BoltArgs = BoltArgs,
> extends GateOptions<Feature, Flag, Args, CommandRule<NoInfer<Feature>, NoInfer<Flag>>> {
  /** The user's language, which Slack does not send along; English unless given. */
  readonly locale?: ((args: Args) => string | undefined) | undefined
}

/**
 * A Bolt middleware: a slash command that is switched off or has no place is acknowledged and answered politely, for its
 * user only, and what matters is handled first. Everything else passes.
 *
 * @remarks
 * What listeners throw passes through to `app.error`, but a `ShedError` from a guard inside one is told to the user.
 * Actions, shortcuts, views and events have a rule when `command` names one for them. A form that is refused is kept
 * open, so that nothing typed is lost; a menu that loads its options gets none. A shortcut, and a button where there is no
 * channel, is answered by a small form.
 *
 * *Gotchas*: a listener that passes has to acknowledge within Slack's 3 s itself: {@link acknowledgeInTime} does it. Those
 * 3 s include the time for which it has waited in `admission`, so keep `maxWaitMs` and `ackAfterMs` together below them.
 *
 * @param options - the commands, and who decides about them
 * @returns the middleware: `app.use(boltGate({ ... }))`, or before the listener of one command
 * @throws TypeError or RangeError when an option is missing, does not exist or is out of range
 *
 * @example
 * ```ts
 * import { DegradationManager } from '@evenkeel/degradation-manager'
 * import { boltGate } from '@evenkeel/degradation-manager/bolt'
 *
 * const modes = new DegradationManager({ features: { translate: { priority: 'optional' } } })
 * const gate = boltGate({ modes, commands: { translate: { feature: 'translate' } } })
 * // app.use(gate)
 * await modes.setMode('DEGRADED', { why: 'the translation service is slow' })
 * await gate({
 *   body: { command: '/translate', team_id: 'T1', user_id: 'U1' },
 *   ack: async ({ text }: { text: string }) => console.log(text), // => /translate is taking a break. Please try again later.
 *   next: async () => console.log('not reached'),
 * })
 * ```
 */
export function boltGate<Feature extends string, Flag extends string, Args extends BoltArgs = BoltArgs>(
  options: BoltGateOptions<Feature, Flag, Args>,
): (args: Args) => Promise<void> {
  const settings = gateSettings<Args, CommandRule<never, never>>(options as BoltGateOptions<never, never, Args>, {
    options: ['locale'],
    rule: [],
  })
  const { locale } = options
  if (locale !== undefined && typeof locale !== 'function') throw new TypeError('locale must be a function')
  const gate = new Gate(settings)
  return (args) => {
    const body = args.body as SlackBody
    const visit: Visit<Args> = {
      event: args,
      command: settings.command?.(args) ?? commandOf(body),
      guildId: idOf(body.team_id) ?? idOf(body.team),
      userId: idOf(body.user_id) ?? idOf(body.user) ?? idOf((body.event as SlackBody | undefined)?.user),
      locale: locale?.(args),
      isSuggestion: body.type === 'block_suggestion',
    }
    return gate.pass(visit, {
      handle: () => args.next(),
      refuse: (words, { hasBegun }) => tell(args, body, words, hasBegun),
    })
  }
}

function commandOf({ command }: SlackBody): string | undefined {
  return typeof command === 'string' ? command.replace(/^\//, '') : undefined
}

async function tell(args: BoltArgs, body: SlackBody, words: string, hasBegun: boolean): Promise<void> {
  const ack = args.ack as Answer | undefined
  const respond = args.respond as Answer | undefined
  const say = args.say as Answer | undefined
  const answer = { response_type: 'ephemeral', text: words }
  const isCommand = typeof body.command === 'string'
  if (isCommand && !hasBegun) return void (await ack?.(answer))
  const isForm = body.type === 'view_submission'
  const isMenu = body.type === 'block_suggestion'
  // What is said along with a second acknowledgement of a command is lost without a word, so it is said after it.
  const isTaken = await acknowledge(ack, isForm ? formThatSays(words) : isMenu ? { options: [] } : undefined, hasBegun)
  if (isMenu || (isForm && isTaken)) return
  if (respond !== undefined) await respond({ ...answer, replace_original: false })
  else if (say !== undefined) await say({ text: words, ...threadOf(body) })
  else await show(args, body, viewThatSays(words))
}

/** Whether it was taken: where the listener had begun, it may have acknowledged before. */
async function acknowledge(ack: Answer | undefined, response: unknown, hasBegun: boolean): Promise<boolean> {
  try {
    await ack?.(response)
    return true
  } catch (error) {
    if (!hasBegun) throw error
    return false
  }
}

/** The last way to a user whom Slack gives neither an address nor a channel for. Without a trigger nobody waits. */
async function show({ client }: BoltArgs, { type, view, trigger_id }: SlackBody, form: object): Promise<void> {
  if (typeof trigger_id !== 'string') return
  const { views } = (client ?? {}) as { views?: Partial<Record<'open' | 'push', Answer>> }
  const isOnForm = type === 'block_actions' && (view as SlackBody | undefined)?.type === 'modal'
  const method = isOnForm ? 'push' : 'open'
  if (typeof views?.[method] !== 'function') {
    throw new TypeError(`Slack takes an answer to this ${String(type)} through client only`)
  }
  await views[method]({ trigger_id, view: form })
}

/** On top of the form that was sent, so that closing it leads back to what was typed. */
function formThatSays(words: string): object {
  return { response_action: 'push', view: viewThatSays(words) }
}

function viewThatSays(words: string): object {
  const text = { type: 'plain_text', text: words }
  const title = { type: 'plain_text', text: '…' }
  return { type: 'modal', title, blocks: [{ type: 'section', text }] }
}

/** Where a message was written, so that the answer does not stand between those of others. */
function threadOf({ event }: SlackBody): object {
  const { thread_ts: thread, ts } = (event ?? {}) as Partial<Record<'thread_ts' | 'ts', unknown>>
  const at = thread ?? ts
  return typeof at === 'string' ? { thread_ts: at } : {}
}
