import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchesLeft, nextShare, type BatchSettings, type PlacedGuild } from './rollback.js'

const settings: BatchSettings = { batchGuilds: 100, batchDelayMs: 30_000, maxRollbackMs: 600_000 }
type Share = { percentage: number; targetGuilds: readonly string[] }

/** So many guilds, evenly placed. */
function evenly(count: number): PlacedGuild[] {
  return Array.from({ length: count }, (_, i) => ({ id: String(i), place: (i / count) * 100 }))
}

function isIn({ percentage, targetGuilds }: Share, { id, place }: PlacedGuild): boolean {
  return targetGuilds.includes(id) || (place !== undefined && place < percentage)
}

/** Every share down to nothing, each batch 30 s after the one before. */
function allShares(share: Share, guilds: PlacedGuild[] | undefined, by: BatchSettings = settings): Share[] {
  const shares = [share]
  for (let batches = 0; shares.length < 10_000; batches++) {
    const last = shares.at(-1) as Share
    if (last.percentage === 0 && last.targetGuilds.length === 0) return shares
    shares.push(nextShare(last, guilds, { batches, elapsedMs: batches * by.batchDelayMs }, by))
  }
  throw new Error('it never ends')
}

describe('a rollback in batches', () => {
  it('takes a hundred guilds at a time, those that came last first', () => {
    const guilds = evenly(450)
    const shares = allShares({ percentage: 100, targetGuilds: [] }, guilds)
    expect(shares.map((share) => guilds.filter((guild) => isIn(share, guild)).length)).toEqual([
      450, 350, 250, 150, 50, 0,
    ])
    const leaving = guilds.filter((guild) => isIn(shares[0]!, guild) && !isIn(shares[1]!, guild))
    expect(Math.min(...leaving.map(({ place }) => place!))).toBeGreaterThanOrEqual((350 / 450) * 100)
  })

  it('takes larger batches when they would take more than ten minutes', () => {
    const shares = allShares({ percentage: 100, targetGuilds: [] }, evenly(10_000))
    expect(shares.length - 1).toBe(21)
    expect(batchesLeft(0, settings)).toBe(21)
    expect(batchesLeft(600_000, settings)).toBe(1)
    expect(batchesLeft(900_000, settings)).toBe(1)
  })

  it('takes target guilds out in the same batches', () => {
    const guilds = evenly(200)
    const targetGuilds = ['199', '150', 'elsewhere']
    const shares = allShares({ percentage: 50, targetGuilds }, guilds, { ...settings, batchGuilds: 51 })
    expect(shares.map((share) => guilds.filter((guild) => isIn(share, guild)).length)).toEqual([102, 52, 1, 0])
    expect(shares[1]?.targetGuilds).toEqual([])
  })

  it('goes down in ten equal steps when nobody says which guilds there are', () => {
    const shares = allShares({ percentage: 50, targetGuilds: ['1', '2', '3'] }, undefined)
    expect(shares.map(({ percentage }) => Math.round(percentage))).toEqual([50, 45, 40, 35, 30, 25, 20, 15, 10, 5, 0])
    expect(shares.at(-2)?.targetGuilds.length).toBeLessThan(2)
  })

  it('goes by the percentage where guilds have no place', () => {
    const guilds = [{ id: '1', place: undefined }]
    expect(allShares({ percentage: 50, targetGuilds: [] }, guilds)).toHaveLength(11)
  })

  it('never gives anybody the flag, skips nobody and ends in time, wherever it is taken up again', () => {
    const anyGuilds = fc.uniqueArray(
      fc.record({
        id: fc.string({ minLength: 1 }),
        place: fc.option(fc.double({ min: 0, max: 99.9, noNaN: true }), { nil: undefined }),
      }),
      { selector: ({ id }) => id, maxLength: 400 },
    )
    const run = fc.record({
      guilds: fc.option(anyGuilds, { nil: undefined }),
      percentage: fc.double({ min: 0, max: 100, noNaN: true }),
      targets: fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 20 }),
      batchGuilds: fc.integer({ min: 1, max: 50 }),
    })
    fc.assert(
      fc.property(run, ({ guilds, percentage, targets, batchGuilds }) => {
        const by = { ...settings, batchGuilds }
        const targetGuilds = [...targets, ...(guilds ?? []).slice(0, 3).map(({ id }) => id)]
        const shares = allShares({ percentage, targetGuilds: [...new Set(targetGuilds)] }, guilds, by)
        expect(shares.length - 1).toBeLessThanOrEqual(21)
        for (let i = 1; i < shares.length; i++) {
          const [before, after] = [shares[i - 1]!, shares[i]!]
          expect(after.percentage).toBeLessThanOrEqual(before.percentage)
          for (const guild of guilds ?? []) if (isIn(after, guild)) expect(isIn(before, guild)).toBe(true)
        }
      }),
    )
  })
})
