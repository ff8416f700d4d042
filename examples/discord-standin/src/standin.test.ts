import { describe, expect, it } from 'vitest'
import type { CommandRequest } from './contract.js'
import type { StandinOptions } from './options.js'
import { DiscordStandin } from './standin.js'
import { inbox, logIn, startForTest, steppedClock } from './test-bot.js'

describe('DiscordStandin', () => {
  it('has no address before it is started, and listens on the loopback alone', async () => {
    expect(() => new DiscordStandin().api).toThrow('await start() first')
    const standin = await startForTest()
    expect(standin.api).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api$/)
    await standin.start()
  })

  it('stops twice, and also when it never began', async () => {
    await new DiscordStandin().stop()
    const standin = await startForTest()
    await logIn(standin)
    await standin.stop()
    await standin.stop()
  })

  it('ends the waiting of those who ask when it is stopped', async () => {
    const standin = await startForTest({ ackDeadlineMs: 60_000 })
    const asking = standin.ask({ name: 'ping', timeoutMs: 60_000 })
    await standin.stop()
    expect(await asking).toMatchObject({ answered: false })
  })

  it('marks what nobody got', async () => {
    const standin = await startForTest()
    await standin.command({ name: 'ping' })
    await logIn(standin)
    expect((await standin.ledger()).events).toMatchObject([{ deliveries: 0, attempts: [] }])
  })

  it('picks a guild and one of its members when none is named', async () => {
    const standin = await startForTest({ guilds: 5 })
    for (let i = 0; i < 100; i++) await standin.command({ name: 'ping' })
    const { events } = await standin.ledger()
    expect(new Set(events.map(({ guildId }) => guildId)).size).toBe(5)
    const isMember = ({ guildId, userId }: { guildId: string; userId: string }): boolean =>
      standin.guilds.find(({ id }) => id === guildId)?.memberIds.includes(userId) ?? false
    expect(events.every(isMember)).toBe(true)
  })

  it('gives the ledger from a time on, and never changes one that it gave', async () => {
    const clock = steppedClock()
    const standin = await startForTest({ now: clock.now })
    await standin.command({ name: 'lost' })
    clock.step(10)
    const asked = inbox()
    await logIn(standin, asked.receive)
    const answering = standin.ask({ name: 'ping' })
    const interaction = await asked.next()
    const before = await standin.ledger()
    await interaction.reply('pong')
    await answering
    const since = await standin.ledger({ since: before.now })
    expect(before.events.map(({ command, answer }) => [command, answer])).toEqual([
      ['lost', undefined],
      ['ping', undefined],
    ])
    expect(before.events[1]?.attempts).toEqual([])
    expect(since.events.map(({ command, answer }) => [command, answer])).toEqual([['ping', 'pong']])
    expect(JSON.parse(JSON.stringify(since))).toEqual(since)
  })

  it.each<StandinOptions>([
    { guilds: 0 },
    { guilds: 1.5 },
    { seed: 0.5 },
    { heartbeatIntervalMs: 0 },
    { ackDeadlineMs: -1 },
    { port: 65_536 },
  ])('refuses %o', (options) => {
    expect(() => new DiscordStandin(options)).toThrow(RangeError)
  })

  it.each<[string, CommandRequest]>([
    ['a guild that there is not', { name: 'ping', guildId: '1' }],
    ['a command without a name', { name: '' }],
    ['too many subcommands', { name: 'a b c d' }],
    ['a user who is no snowflake', { name: 'ping', userId: 'me' }],
  ])('refuses %s, and writes nothing down', async (_, request) => {
    const standin = await startForTest()
    await expect(standin.command(request)).rejects.toThrow()
    expect((await standin.ledger()).events).toEqual([])
  })
})
