import { readdir, readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Alerts } from './alerts.js'
import { discordChannel } from './channels/discord-channel.js'
import { slackChannel } from './channels/slack-channel.js'
import { webhookChannel } from './channels/webhook-channel.js'
import { emailChannel } from './email.js'
import { seenOf } from './compose.js'
import { DeliveryError } from './errors.js'
import { temporaryDirectory } from './test-support/directories.js'
import { diskIsIdle, watchDisk } from './test-support/faulty-disk.js'
import { OpsChannel } from './test-support/ops-channel.js'
import { Receiver, TOKEN } from './test-support/receiver.js'

const severity = fc.constantFrom('INFO' as const, 'WARNING' as const, 'CRITICAL' as const)
const name = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor')

/** What a channel does with a message. */
const mood = fc.constantFrom('takes', 'fails', 'pauses', 'refuses', 'breaks', 'hangs')

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('fire' as const), name, severity, shard: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('report' as const), text: fc.string() }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('resolve' as const), name, shard: fc.nat(3) }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('silence' as const), name, forMs: fc.integer({ min: 1, max: 1e7 }) }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('mood' as const), channel: fc.nat(1), mood }) },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('pass' as const),
      ms: fc.constantFrom(10, 3_000, 90_000, 700_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('outage' as const), mood }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('jump' as const), ms: fc.integer({ min: -1e7, max: 1e7 }) }) },
)

function setMood(channel: OpsChannel, how: string): void {
  channel.answer = () => {
    if (how === 'fails') throw new Error('ECONNRESET')
    if (how === 'pauses') throw new DeliveryError('429', { retryable: true, retryAfterMs: 5_000 })
    if (how === 'refuses') throw new DeliveryError('400', { retryable: false, scope: 'message' })
    if (how === 'breaks') throw new DeliveryError('404', { retryable: false })
    return how === 'hangs' ? new Promise(() => undefined) : undefined
  }
}

describe('the law of alerts', () => {
  it('is that every one is delivered, merged, silenced, dead or pending, in every history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await using directory = await temporaryDirectory()
        const undo = watchDisk(() => undefined)
        const clock = new FakeClock()
        const console = new OpsChannel()
        const channels = { ops: new OpsChannel(), mail: new OpsChannel({ maxPerMinute: 2 }, true, 2), console }
        const make = (): Alerts =>
          new Alerts({
            channels,
            routes: [
              { severity: 'CRITICAL', to: ['ops', 'mail'] },
              { severity: 'WARNING', to: ['mail'] },
            ],
            fallback: 'ops',
            path: directory.path,
            maxPending: 20,
            expireMs: 600_000,
            repeatMs: 400_000,
            clock,
          })
        let alerts = make()
        const rest = async (ms: number): Promise<void> => {
          await clock.advance(ms)
          await diskIsIdle()
        }
        const stop = async (): Promise<void> => {
          const stopped = alerts.stop()
          await clock.advance(1_000)
          await stopped
        }
        await alerts.start()
        const balance = (): void => {
          const { accepted, delivered, merged, silenced, dead, lost, pending } = alerts.accounting
          expect(delivered + merged + silenced + dead + pending).toBe(accepted)
          expect(lost).toBe(0)
        }
        for (const each of steps) {
          if (each.does === 'fire') {
            alerts.fire({ name: each.name, severity: each.severity, message: 'm', labels: { shard: each.shard } })
          } else if (each.does === 'report') alerts.report(each.text)
          else if (each.does === 'resolve') alerts.resolve(each.name, { shard: each.shard })
          else if (each.does === 'silence') {
            alerts.silence({ matching: { name: each.name }, forMs: each.forMs, why: 'w', by: 'b' })
          } else if (each.does === 'mood') setMood(each.channel === 0 ? channels.ops : channels.mail, each.mood)
          else if (each.does === 'pass') await rest(each.ms)
          else if (each.does === 'outage') {
            // One in a message that is tried again, one behind it, until both have expired.
            for (const channel of Object.values(channels)) setMood(channel, each.mood)
            for (const again of [1, 2]) {
              alerts.fire({
                name: `outage ${again}`,
                severity: 'CRITICAL',
                message: 'm',
                labels: { at: clock.monotonic() },
              })
              await rest(3_000)
            }
            await rest(700_000)
          } else if (each.does === 'jump') clock.jump(each.ms)
          else {
            const before = alerts.accounting
            await stop()
            alerts = make()
            await alerts.start()
            expect(alerts.accounting.accepted).toBeGreaterThanOrEqual(before.accepted)
          }
          balance()
        }
        for (const channel of Object.values(channels)) setMood(channel, 'takes')
        for (let turn = 0; turn < 200 && alerts.accounting.pending > 0; turn++) await rest(60_000)
        balance()
        expect(alerts.accounting.pending).toBe(0)
        // What counts as delivered is what somebody saw, and nothing else.
        const seen = Object.values(channels).flatMap(({ messages }) =>
          messages.flatMap((each) => seenOf(each).delivered),
        )
        expect(alerts.accounting.delivered).toBe(new Set(seen).size)
        await stop()
        undo()
      }),
      { numRuns: 40 },
    )
  }, 90_000)
})

describe('secrets', () => {
  const password = 'p4ss "W0rd" ünd\\mehr'

  it('are seen by nobody: not in events, errors, status, files, warnings, nor by who looks inside', async () => {
    const secrets = [TOKEN, password, encodeURIComponent(password), Buffer.from(password).toString('base64')]
    const place = fc.constantFrom(...secrets, `https://x.example/hook/${TOKEN}`)
    await fc.assert(
      fc.asyncProperty(fc.array(place, { minLength: 1, maxLength: 3 }), fc.nat(4), async (parts, status) => {
        await using directory = await temporaryDirectory()
        await using receiver = await Receiver.start((response) => {
          // A receiver that repeats what it was sent, as some do.
          response
            .writeHead([200, 429, 500, 404, 400][status] ?? 200, { 'x-said': TOKEN })
            .end(`no: ${TOKEN} ${password}`)
        })
        const text = `before ${parts.join(' and ')} after`
        const channels = {
          hook: webhookChannel({ url: receiver.url(), secret: password, headers: { authorization: password } }),
          discord: discordChannel({ url: receiver.url() }),
          slack: slackChannel({ url: receiver.url() }),
          mail: emailChannel({
            host: '127.0.0.1',
            port: receiver.port,
            user: 'bot',
            password,
            from: 'a@b.c',
            to: 'd@e.f',
          }),
          own: {
            send: () => Promise.reject(Object.assign(new Error(text), { code: TOKEN })),
            secrets: () => [TOKEN, password],
          },
        }
        const alerts = new Alerts({
          channels,
          path: directory.path,
          groupWaitMs: 0,
          routes: [{ to: ['hook', 'discord', 'slack', 'mail', 'own'] }],
        })
        const seen: unknown[] = []
        const see = (...all: unknown[]): void => void seen.push(...all)
        for (const event of ['change', 'delivered', 'dead'] as const) alerts.on(event, see)
        const warned = (warning: Error): void => see(warning)
        process.on('warning', warned)
        await alerts.start()
        const labels = { [text]: text }
        const handle = alerts.fire({ name: text, severity: 'INFO', message: text, labels })
        alerts.report(new TypeError(text), { labels })
        alerts.silence({ matching: { component: [text], other: text }, forMs: 1_000, why: text, by: text })
        await alerts.flush({ timeoutMs: 150 })
        alerts.resolve(text, labels, text)
        see(alerts, handle, alerts.components, alerts.status, alerts.accounting, alerts.silences, channels)
        await alerts.stop()
        const files = await readdir(directory.path)
        const contents = await Promise.all(files.map((file) => readFile(`${directory.path}/${file}`, 'utf8')))
        process.off('warning', warned)
        const shown = [...contents, ...receiver.received.map(({ text }) => text)]
        shown.push(...seen.map((each) => inspect(each, { depth: 12, showHidden: true, maxStringLength: null })))
        // An emitter refers to itself; the emitter's inside has been inspected above.
        const plain = seen.filter((each) => each !== alerts)
        shown.push(
          ...plain.map((each) => JSON.stringify(each instanceof Map ? [...(each as Map<unknown, unknown>)] : each)),
        )
        const escaped = JSON.stringify(password).slice(1, -1)
        for (const secret of [...secrets, escaped]) {
          for (const each of shown) expect(each.includes(secret), `${secret} in ${each.slice(0, 2_000)}`).toBe(false)
        }
        expect(shown.join('')).toContain('[secret]')
      }),
      { numRuns: 8 },
    )
  }, 60_000)
})
