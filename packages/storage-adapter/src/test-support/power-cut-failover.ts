import { FailoverStory } from './failover-story.js'
import { emptyReport, type CrashReport } from './power-cut-report.js'
import { below, oneOf, randomFrom, type Random } from './random.js'
import { ToldWrites } from './told-writes.js'

/** Power cuts that one storage goes through. */
const LIVES = 4
/** The most steps of the disk, and the most things that happen, in a life. */
const MAX_STEPS = 100
const MAX_DEEDS = 30

/** Of one storage: what our process said, and what another one did meanwhile, which goes on whatever happens to ours. */
interface Writers {
  readonly own: ToldWrites
  /** `undefined` where ours is the only one. */
  readonly other: ToldWrites | undefined
}

/**
 * Cuts the power of fail-over storages, in and out of outages of their primary, and looks what is left. Every other one
 * is one of many writers.
 */
export async function cutFailoverStorages(
  seed: number,
  cuts: number,
  onCut?: (report: CrashReport) => void,
): Promise<CrashReport> {
  const report = emptyReport()
  const random = randomFrom(seed)
  while (report.crashes < cuts) {
    const storeSeed = below(random, 2 ** 32)
    await cutOneStorage(storeSeed, Math.min(LIVES, cuts - report.crashes), report)
    onCut?.(report)
  }
  return report
}

async function cutOneStorage(seed: number, lives: number, report: CrashReport): Promise<void> {
  const random = randomFrom(seed)
  const hasOther = random() < 0.5
  const story = new FailoverStory(undefined, undefined, { writers: hasOther ? 'many' : 'one', mirrorIntervalMs: 1_000 })
  story.files.chance = random
  const told: Writers = { own: new ToldWrites(), other: hasOther ? new ToldWrites() : undefined }
  for (let life = 1; life <= lives; life++) {
    story.files.crashAt = 1 + below(random, MAX_STEPS)
    await live(story, told, random)
    const at = `storage ${seed}${hasOther ? ' of many' : ''}, life ${life}, step ${story.files.steps}: ${story.files.log.at(-1)}`
    story.restart(random() < 0.5 ? 'kill' : 'power cut')
    report.crashes++
    try {
      await look(story, told, at, report, random)
    } catch (error) {
      report.unreadable.push(`${at}: ${String(error)}`)
      break
    }
  }
  report.checked += told.own.checked + (told.other?.checked ?? 0)
}

/** Writes while the primary comes and goes. */
async function live(story: FailoverStory, { own, other }: Writers, random: Random): Promise<void> {
  const { storage } = story
  const someOf = (keys: readonly string[]): (readonly [key: string, value: unknown])[] =>
    keys.filter(() => random() < 0.5).map((key) => [key, valueFrom(random)])
  const isDead = (): boolean => story.isKilled || story.storage !== storage
  void storage.start().catch(() => undefined)
  await story.clock.advance(0)
  for (let deed = 0; deed < MAX_DEEDS && !story.isKilled; deed++) {
    const chance = random()
    if (chance < 0.1) story.faulty.down()
    else if (chance < 0.2) story.faulty.up()
    else if (chance < 0.3) await story.clock.advance(oneOf(random, [700, 15_000]))
    else {
      const writes = someOf(['a', 'b', 'c', 'd'])
      // A killed process answers no more, so nobody waits for it.
      if (writes.length > 0) void own.write(story.storage, writes, isDead)
      const others = other === undefined ? [] : someOf(['e', 'f'])
      if (others.length > 0) void other?.write(story.inner, others, () => false)
      await story.clock.advance(0)
    }
  }
}

/** Opens the storage, in half of the cases still without its primary, and compares it with what was said. */
async function look(
  story: FailoverStory,
  { own, other }: Writers,
  at: string,
  report: CrashReport,
  random: Random,
): Promise<void> {
  const lost = (where: string, wrong: readonly string[]): void => {
    for (const each of wrong) report.lost.push(`${at}, ${where}: ${each}`)
  }
  story.storage.on('quarantined', () => report.unreadable.push(`${at}: took it for damage`))
  if (random() < 0.5) {
    story.faulty.down()
    // Before its first copy is complete it rejects, as it should.
    const isServing = await story.storage.start().then(
      () => story.storage.state.mirror.covered === 'all',
      () => false,
    )
    if (isServing) lost('in the outage', await own.verify(story.storage, false))
  }
  story.faulty.up()
  await story.storage.start()
  await story.clock.advance(20_000)
  const { on, journalLength, conflicts, diverged } = story.storage.state
  if (on !== 'primary' || journalLength > 0 || conflicts > 0 || diverged !== undefined) {
    report.unreadable.push(`${at}: is on the ${on} with ${journalLength} to replay and ${conflicts} conflicts`)
  }
  lost('on the primary', await own.verify(story.inner, false))
  lost('afterwards', await own.verify(story.storage))
  if (other === undefined) return
  lost('of another writer', await other.verify(story.inner))
  // By now the copy has followed that one, too.
  story.faulty.down()
  lost('of another writer in the next outage', await other.verify(story.storage))
  story.faulty.up()
}

function valueFrom(random: Random): unknown {
  return random() < 0.2 ? undefined : { n: below(random, 1e9), text: 'x'.repeat(oneOf(random, [1, 50, 1_200])) }
}
