import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { flagFile } from './file.js'
import {
  FeatureFlags,
  type FlagDefinitions,
  type FlagRefusal,
  type FlagSource,
  type SegmentDefinitions,
} from './index.js'
import { HandSource } from './test-support/hand-source.js'

const segments: SegmentDefinitions = { staff: { guildId: ['1'] } }
const misspelt: FlagDefinitions = { search: { rules: [{ when: { guildId: '9' } }, { segment: 'stafff' }] } }

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'evenkeel-flags-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

async function fileOf(name: string, text: string): Promise<FlagSource> {
  const path = join(directory, name)
  await writeFile(path, text)
  return flagFile(path)
}

/** How flags with these sources start. */
async function startOf(...sources: FlagSource[]): Promise<unknown> {
  const flags = new FeatureFlags<FlagDefinitions>({ flags: {}, segments, sources, environment: {} })
  const told = await flags.start().catch((error: unknown) => error)
  await flags.stop()
  return told
}

describe('a rule that misspells a segment', () => {
  it('is refused in the code, and told which one was meant', () => {
    const make = () => new FeatureFlags({ flags: misspelt, segments })
    expect(make).toThrow('Flag "search": there is no segment \'stafff\'; did you mean "staff"?')
  })

  it('is refused in the code where no segment is declared', () => {
    expect(() => new FeatureFlags({ flags: misspelt })).toThrow("no segment 'stafff'; declare it in `segments`")
  })

  it('is refused in a JSON file with its line', async () => {
    const text =
      '{ "flags": {\n  "search": { "rules": [\n    { "when": { "guildId": "9" } },\n    { "segment": "stafff" }\n] } } }'
    expect(await startOf(await fileOf('flags.json', text))).toMatchObject({
      code: 'FLAG_DOCUMENT',
      reason: 'Flag "search": there is no segment \'stafff\'; did you mean "staff"?',
      path: ['flags', 'search', 'rules', 1, 'segment'],
      source: join(directory, 'flags.json'),
      place: { line: 4, column: 7 },
    })
  })

  it('is refused in a YAML file with its line', async () => {
    const text = 'segments:\n  early: { guildId: "2" }\nflags:\n  search:\n    rules:\n      - segment: erly\n'
    expect(await startOf(await fileOf('flags.yaml', text))).toMatchObject({
      reason: 'Flag "search": there is no segment \'erly\'; did you mean "early"?',
      path: ['flags', 'search', 'rules', 0, 'segment'],
      place: { line: 6 },
    })
  })

  it('is refused also where a later source has other rules for the flag', async () => {
    const lower = new HandSource({ flags: { search: { rules: [{ segment: 'staff' }] } } }, 'lower.json')
    const upper = new HandSource({ flags: { search: { rules: [{ when: { guildId: '7' } }] } } }, 'upper.json')
    const flags = new FeatureFlags<FlagDefinitions>({ flags: {}, segments, sources: [lower, upper], environment: {} })
    const refused: FlagRefusal[] = []
    flags.on('refused', (refusal) => refused.push(refusal))
    await flags.start()
    lower.say({ flags: { search: { rules: [{ segment: 'stafff' }] } } })
    expect(refused).toMatchObject([{ what: 'lower.json', error: { path: ['flags', 'search', 'rules', 0, 'segment'] } }])
    await flags.stop()
  })
})

describe('a segment that a source takes away', () => {
  it('is told with the rule that needs it, and where that stands', async () => {
    const lower = new HandSource({ segments: { early: { guildId: '2' } }, flags: {} }, 'lower.json')
    const upper = new HandSource({ flags: { search: { rules: [{ segment: 'early' }] } } }, 'upper.json')
    const flags = new FeatureFlags<FlagDefinitions>({ flags: {}, segments, sources: [lower, upper], environment: {} })
    const refused: FlagRefusal[] = []
    flags.on('refused', (refusal) => refused.push(refusal))
    await flags.start()
    lower.say({ segments: { earlybirds: { guildId: '2' } }, flags: {} })
    expect(refused.map(({ what, error }) => [what, error.message])).toEqual([
      ['lower.json', 'Flag "search" in upper.json: there is no segment \'early\'; declare it in `segments`'],
    ])
    expect(refused[0]?.error).toMatchObject({ path: ['segments'] })
    expect(flags.isEnabled('search', { guildId: '2' })).toBe(true)
    await flags.stop()
  })
})
