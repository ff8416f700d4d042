import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AlertNotice } from '../alert.js'
import { mailOf } from '../email/mail.js'
import { message, notice } from '../test-support/messages.js'
import { DISCORD_LIMITS, discordPayload } from './discord-payload.js'
import { SLACK_LIMITS, SLACK_MAX_NOTICES, slackPayload } from './slack-payload.js'

const hostile = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 5_000 }),
  fc.string({ unit: 'binary', maxLength: 500 }),
  fc.constantFrom('@everyone', '<@&81384788765712384>', '<!channel>', '[x](http://evil)', '```', '**', '&lt;', '\\'),
  fc.constantFrom('*'.repeat(4_000), '&'.repeat(4_000), '\u{1F600}'.repeat(2_000), ''),
)
const hostileNotice = fc
  .record({
    name: hostile,
    message: hostile,
    labels: fc.dictionary(hostile, hostile, { maxKeys: 32 }),
    severity: fc.constantFrom('INFO' as const, 'WARNING' as const, 'CRITICAL' as const),
    kind: fc.constantFrom('firing', 'resolved', 'repeated', 'reminder', 'flapping'),
  })
  .map((fields) => notice(fields as Partial<AlertNotice>))

const halfPair = /[\ud800-\udbff](?![\udc00-\udfff])/

function batch(most: number) {
  return fc.array(hostileNotice, { minLength: 1, maxLength: most })
}

/** As intake leaves them: short enough, each with its own identity. */
function many(count: number): AlertNotice[] {
  return Array.from({ length: count }, (_, index) =>
    notice({ id: `n${index}`, fingerprint: `f${index}`, name: `alert ${index}`, message: '*&'.repeat(2_000) }),
  )
}

describe('what Discord is sent', () => {
  it('stays within its limits, whatever is in an alert', () => {
    fc.assert(
      fc.property(batch(DISCORD_LIMITS.embeds), fc.boolean(), (notices, isDigest) => {
        const { embeds, allowed_mentions } = discordPayload(message(notices, { isDigest }))
        expect(allowed_mentions).toEqual({ parse: [] })
        expect(embeds.length).toBeLessThanOrEqual(DISCORD_LIMITS.embeds)
        let characters = 0
        for (const { title, description, fields, footer } of embeds) {
          expect(title.length).toBeLessThanOrEqual(DISCORD_LIMITS.title)
          expect(description.length).toBeLessThanOrEqual(DISCORD_LIMITS.description)
          expect(fields.length).toBeLessThanOrEqual(DISCORD_LIMITS.fields)
          characters += title.length + description.length + footer.text.length
          for (const { name, value } of fields) {
            expect(name.length).toBeLessThanOrEqual(DISCORD_LIMITS.fieldName)
            expect(value.length).toBeLessThanOrEqual(DISCORD_LIMITS.fieldValue)
            expect(Math.min(name.length, value.length)).toBeGreaterThan(0)
            characters += name.length + value.length
          }
        }
        expect(characters).toBeLessThanOrEqual(DISCORD_LIMITS.characters)
        expect(JSON.stringify(embeds)).not.toMatch(halfPair)
      }),
    )
  })

  it('shows text as it is: no mention, no link, no formatting', () => {
    const text = '@everyone <@81384788765712384> <#1> [free](https://evil.example) **b** `c` ||s|| \\'
    const [embed] = discordPayload(message([notice({ message: text, labels: { '*bold*': '> quote' } })])).embeds
    const shown = embed?.description ?? ''
    expect(shown).not.toMatch(/@everyone|@\d/)
    // Each of these is escaped, and no escape is escaped itself.
    const bare = shown.replace(/\\[^0-9A-Za-z\s]/g, '')
    expect(bare).not.toMatch(/[<>[\]*`|\\#]/)
    expect(embed?.fields).toEqual([{ name: '\\*bold\\*', value: '\\> quote', inline: true }])
  })

  it('names twenty alerts of a digest, and counts the rest', () => {
    const payload = discordPayload(message(many(300), { isDigest: true }))
    const [embed] = payload.embeds
    expect(payload.embeds).toHaveLength(1)
    expect(embed?.title).toBe('CRITICAL 300 notices of 300 alerts')
    expect(embed?.description.split('\n')).toHaveLength(21)
    expect(embed?.description).toContain('and 280 more alerts')
    expect(embed?.description.length).toBeLessThanOrEqual(DISCORD_LIMITS.description)
  })

  it('puts what is told of one alert into one line', () => {
    const same = Array.from({ length: 50 }, (_, index) => notice({ id: `n${index}`, count: 2 }))
    const [embed] = discordPayload(message(same, { isDigest: true })).embeds
    expect(embed?.description.split('\n')).toHaveLength(1)
    expect(embed?.description).toContain('×100')
  })
})

describe('what Slack is sent', () => {
  it('stays within its limits, whatever is in an alert', () => {
    fc.assert(
      fc.property(batch(SLACK_MAX_NOTICES), fc.boolean(), (notices, isDigest) => {
        const payload = slackPayload(message(notices, { isDigest }))
        expect(payload.blocks.length).toBeLessThanOrEqual(SLACK_LIMITS.blocks)
        expect(payload.text.length).toBeLessThanOrEqual(SLACK_LIMITS.text)
        for (const block of payload.blocks) {
          if (block.type === 'context') continue
          expect(block.text.text.length).toBeLessThanOrEqual(SLACK_LIMITS.text)
          expect(block.text.text.length).toBeGreaterThan(0)
          expect(block.fields?.length ?? 0).toBeLessThanOrEqual(SLACK_LIMITS.fields)
          for (const { text } of block.fields ?? []) expect(text.length).toBeLessThanOrEqual(SLACK_LIMITS.fieldText)
        }
        const json = JSON.stringify(payload)
        expect(json).not.toMatch(halfPair)
        expect(json).not.toMatch(/[<>]/)
        expect(json.replaceAll(/&(amp|lt|gt);/g, '')).not.toContain('&')
      }),
    )
  })

  it('has no formatting in it, and mentions nobody', () => {
    const payload = slackPayload(message([notice({ message: 'tell <!channel> & *all*' })]))
    expect(payload).toMatchObject({ mrkdwn: false, link_names: false })
    const [block] = payload.blocks
    expect(block).toMatchObject({ text: { type: 'plain_text', emoji: false } })
    expect(JSON.stringify(block)).toContain('tell &lt;!channel&gt; &amp; *all*')
  })

  it('names twenty alerts of a digest, and counts the rest', () => {
    const [block] = slackPayload(message(many(300), { isDigest: true })).blocks
    if (block?.type !== 'section') throw new Error('It begins with a section')
    expect(block.text.text).toContain('and 280 more alerts')
    expect(block.text.text.length).toBeLessThanOrEqual(SLACK_LIMITS.text)
  })
})

describe('a mail', () => {
  it('has a subject of one line, whatever is in an alert', () => {
    fc.assert(
      fc.property(batch(3), (notices) => {
        const { subject, headers } = mailOf(message(notices), 'a@b.example', ['c@d.example'], '[alert]')
        expect(subject).not.toMatch(/[\r\n]/)
        expect(subject.length).toBeLessThanOrEqual(180)
        expect(headers).toEqual({ 'idempotency-key': 'm1', 'auto-submitted': 'auto-generated' })
      }),
    )
  })

  it('has the same identity when it is sent again', () => {
    const [one, two] = [1, 2].map(() => mailOf(message(), 'a@b.example', ['c@d.example'], '[alert]'))
    expect(one).toEqual(two)
    expect(one?.messageId).toBe('<m1@alerts.evenkeel>')
  })
})
