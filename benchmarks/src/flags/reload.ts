import { FeatureFlags, type BooleanFlag, type FlagFeed, type FlagSource } from '@evenkeel/feature-flags'
import { measure, print } from '../measure.js'
import { askers, tiers, turn } from './asked-flag.js'
import { contextsOf } from './ours.js'

const ROUNDS = 101

/** A document that this program hands over by itself. */
class HandedOver implements FlagSource {
  readonly name = 'a document'
  feed: FlagFeed | undefined
  readonly #first: unknown

  constructor(first: unknown) {
    this.#first = first
  }

  start(feed: FlagFeed): Promise<void> {
    this.feed = feed
    feed.apply(this.#first)
    return Promise.resolve()
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}

/** A thousand flags that change at once, and flags that require one another in a long chain or in many ways. */
export async function reload(): Promise<void> {
  console.log(`\nflags: from a document to the answers, ${ROUNDS} times; each flag has a rule`)
  await reloads('1,000 flags, each with another percentage', (i) => ({ percentage: 10 + (i % 50) }))
  await reloads('the same, a third of them requires another', (i, index) => ({
    percentage: 10 + (i % 50),
    ...(index % 3 === 2 ? { requires: [`flag${index - 1}`] } : {}),
  }))
  await reloads('1,000 flags, each with another rule', (i) => ({
    rules: [{ when: { tier: tiers }, percentage: 10 + (i % 50) }],
  }))
  const chain = chained(10_000)
  const diamond = diamonds(18)
  console.log('\nflags: from declarations to the answers')
  loads('a chain of 10,000', chain)
  loads('a diamond of 18 levels', diamond)
  await evaluates(chain, diamond)
}

async function reloads(title: string, flagOf: (round: number, index: number) => object): Promise<void> {
  const base = { rules: [{ when: { tier: tiers }, percentage: 25 }] }
  const documentOf = (round: number): object => ({
    flags: Object.fromEntries(
      Array.from({ length: 1_000 }, (_, index) => [`flag${index}`, { ...base, ...flagOf(round, index) }]),
    ),
  })
  const source = new HandedOver(documentOf(0))
  const flags = new FeatureFlags({ flags: {}, sources: [source], environment: {} })
  let changes = 0
  flags.on('change', () => changes++)
  await flags.start()
  const took: Took[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    const document = documentOf(round)
    took.push(timed(() => source.feed?.apply(document)))
    await new Promise(setImmediate)
  }
  await flags.stop()
  if (changes < 1_000 * ROUNDS) throw new Error(`Only ${changes} changes were told`)
  show(title, took)
}

function loads(title: string, declared: Record<string, BooleanFlag>): void {
  const took = Array.from({ length: 31 }, () => {
    return timed(() => {
      const flags = new FeatureFlags({ flags: declared, environment: {} })
      if (!flags.has('last')) throw new Error('The last flag is missing')
    })
  })
  show(title, took)
}

async function evaluates(chain: Record<string, BooleanFlag>, diamond: Record<string, BooleanFlag>): Promise<void> {
  const contexts = contextsOf(askers(10_000))
  const flags = [{ last: { percentage: 25 } }, chain, diamond].map(
    (declared: Record<string, BooleanFlag>) => new FeatureFlags({ flags: declared, environment: {} }),
  )
  const [alone, ofChain, ofDiamond] = flags
  let yes = 0
  print(
    'flags: isEnabled without rules, 25 %',
    await measure(
      [
        {
          name: 'floor: a flag that requires nothing',
          run(count) {
            for (let i = 0; i < count; i++) if (alone?.isEnabled('last', turn(contexts, i)) === true) yes++
          },
        },
        {
          name: 'the last of a chain of 10,000',
          run(count) {
            for (let i = 0; i < count; i++) if (ofChain?.isEnabled('last', turn(contexts, i)) === true) yes++
          },
        },
        {
          name: 'the last of a diamond of 18 levels',
          run(count) {
            for (let i = 0; i < count; i++) if (ofDiamond?.isEnabled('last', turn(contexts, i)) === true) yes++
          },
        },
      ],
      1_000_000,
    ),
  )
  if (yes === 0) throw new Error('Nobody was answered with yes: something else was measured')
}

/** Each flag requires the one before it. */
function chained(length: number): Record<string, BooleanFlag> {
  const names = Array.from({ length }, (_, index) => (index === length - 1 ? 'last' : `flag${index}`))
  return Object.fromEntries(
    names.map((name, index) => [
      name,
      { percentage: 25, ...(index === 0 ? {} : { requires: [names[index - 1] as string] }) },
    ]),
  )
}

/** On each level two flags require both of the level below, so that 2^levels ways lead down. */
function diamonds(levels: number): Record<string, BooleanFlag> {
  const flags: Record<string, BooleanFlag> = { root: { percentage: 25 } }
  let below = ['root']
  for (let level = 0; level < levels; level++) {
    const here = [`left${level}`, `right${level}`]
    for (const name of here) flags[name] = { percentage: 25, requires: below }
    below = here
  }
  return { ...flags, last: { percentage: 25, requires: below } }
}

/** In milliseconds. */
interface Took {
  readonly wall: number
  readonly cpu: number
}

function timed(work: () => void): Took {
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  work()
  const wall = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpuBefore)
  return { wall, cpu: (user + system) / 1_000 }
}

function show(title: string, all: readonly Took[]): void {
  const sorted = (field: keyof Took): number[] => all.map((took) => took[field]).sort((a, b) => a - b)
  const at = (values: readonly number[], ratio: number): string =>
    (values[Math.floor((values.length - 1) * ratio)] ?? Number.NaN).toFixed(2)
  const [cpu, wall] = [sorted('cpu'), sorted('wall')]
  console.log(
    `  ${title.padEnd(44)} cpu ${at(cpu, 0.5)} ms (${at(cpu, 0.25)} .. ${at(cpu, 0.75)})  wall ${at(wall, 0.5)} ms, at most ${at(wall, 1)}, the first ${all[0]?.wall.toFixed(2)}`,
  )
}
