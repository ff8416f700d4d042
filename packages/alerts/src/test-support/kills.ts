import type { AlertMessage } from '../alert.js'
import type { Accounting } from '../alerts.js'
import { type Bundle, endOf } from './child.js'
import { temporaryDirectory } from './directories.js'
import { type Behaviour, Receiver } from './receiver.js'

/** What went wrong in a run of kills; empty when nothing did. */
export interface KillReport {
  crashes: number
  /** Stored alerts that were looked for at the receiver. */
  checked: number
  duplicates: number
  readonly faults: string[]
}

/** How a receiver treats a request: mostly badly. */
export function unreliable(random: () => number): Behaviour {
  return (response) => {
    const chance = random()
    if (chance < 0.4) response.writeHead(200).end()
    else if (chance < 0.6) response.writeHead(429, { 'retry-after': '0.02' }).end()
    else if (chance < 0.75) response.writeHead(500, { 'retry-after': '0.01' }).end()
    else if (chance < 0.9) response.socket?.destroy()
    // It was taken, but nobody hears of it.
    else response.writeHead(200).write('{')
  }
}

/**
 * Lets processes raise alerts and die, one after another on the same spool, and looks at the end what arrived.
 *
 * @param killAts - the step at which each process kills itself; 0 lets it come to its end
 * @param behave - how the receiver behaves until the last process, for which it is well
 */
export async function killBots(bot: Bundle, killAts: readonly number[], behave?: Behaviour): Promise<KillReport> {
  const report: KillReport = { crashes: 0, checked: 0, duplicates: 0, faults: [] }
  await using directory = await temporaryDirectory()
  await using receiver = await Receiver.start(behave)
  const path = `${directory.path}/spool`
  const stored = new Set<string>()
  let raised = 0
  for (const killAt of killAts) {
    const count = 3
    const ended = await endOf(bot.start(path, receiver.url(), String(raised), String(count), String(killAt)))
    raised += count
    for (const [, name = ''] of ended.stdout.matchAll(/^S (.+)$/gm)) stored.add(name)
    if (ended.signal === 'SIGKILL') report.crashes++
    else if (ended.code !== 0) report.faults.push(`ended with ${String(ended.code)}: ${ended.stderr}`)
  }
  receiver.behave = (response) => void response.writeHead(200).end()
  const last = await endOf(bot.start(path, receiver.url(), '0', '0', '0'))
  const accounting = /^E (.+)$/m.exec(last.stdout)?.[1]
  if (accounting === undefined) report.faults.push(`the last one ended with ${String(last.code)}: ${last.stderr}`)
  else report.faults.push(...accountingFaults(JSON.parse(accounting) as Accounting))
  lookAtArrivals(receiver, stored, report)
  return report
}

function accountingFaults({ accepted, delivered, merged, silenced, dead, lost, pending }: Accounting): string[] {
  const sum = delivered + merged + silenced + dead + pending
  const faults = sum === accepted ? [] : [`${accepted} were accepted, but ${sum} are accounted for`]
  if (pending > 0) faults.push(`${pending} are pending although the receiver is well`)
  if (lost > 0) faults.push(`${lost} are lost although the disk is well`)
  if (dead > 0) faults.push(`${dead} are dead although none has expired`)
  return faults
}

function lookAtArrivals(receiver: Receiver, stored: ReadonlySet<string>, report: KillReport): void {
  const messages = new Map<string, string>()
  const arrivals = new Map<string, Set<string>>()
  for (const { notices, ...message } of receiver.bodies<AlertMessage>()) {
    const content = JSON.stringify(notices.map(({ id }) => id))
    const before = messages.get(message.id)
    if (before !== undefined && before !== content) report.faults.push(`message ${message.id} changed its content`)
    if (before === content) report.duplicates++
    messages.set(message.id, content)
    for (const { name, kind } of notices) {
      const told = `${kind} ${name}`
      arrivals.set(told, (arrivals.get(told) ?? new Set()).add(message.id))
    }
  }
  for (const name of stored) {
    report.checked++
    if (!arrivals.has(`firing ${name}`)) report.faults.push(`${name} was stored, and nobody was told`)
  }
  // With the same key, whoever looks at keys sees it once.
  for (const [told, keys] of arrivals) {
    if (keys.size > 1) report.faults.push(`"${told}" came under ${keys.size} keys`)
  }
}
