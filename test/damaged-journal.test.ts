import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlueGreen } from '@evenkeel/blue-green'
import { FileStorage } from '@evenkeel/storage-adapter'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

/** A line of the journal of a FileStorage, as far as it matters here. */
interface Line {
  readonly changes?: readonly { readonly value?: { readonly state: { readonly deployment: Share | null } } }[]
}

interface Share {
  readonly percentage: number
}

/** A process whose deployments stand in the journal of a folder. */
function open(path: string): { storage: FileStorage; blueGreen: BlueGreen<Record<'v1' | 'v2', () => void>> } {
  const storage = new FileStorage({ path })
  const blueGreen = new BlueGreen({
    versions: { v1: () => {}, v2: () => {} },
    initial: 'v1',
    context: () => ({ eventId: null, guildId: 'a' }),
    store: storage.collection('evenkeel'),
  })
  return { storage, blueGreen }
}

/** Green's share after the last line that is whole. */
function shareIn(bytes: Buffer): number {
  const lines = bytes.toString().split('\n').slice(0, -1)
  const { changes } = JSON.parse(lines.at(-1) ?? '{}') as Line
  return changes?.[0]?.value?.state.deployment?.percentage ?? 0
}

describe('the journal of a deployment that lost its end, or has a bit that is another', () => {
  let folder: string
  let whole: Buffer

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-damaged-'))
    const { storage, blueGreen } = open(join(folder, 'whole'))
    await blueGreen.deploy('v2', { percentages: [1, 10, 50, 100], stepMs: 3_600_000 })
    for (let step = 1; step < 4; step++) await blueGreen.deployment?.promote()
    await blueGreen.stop()
    whole = readFileSync(join(folder, 'whole', 'journal.jsonl'))
    await storage.stop()
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  /** A start on a damaged journal. @returns the share that green has then */
  async function resumed(name: string, damaged: Buffer): Promise<number> {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'journal.jsonl'), damaged)
    const { storage, blueGreen } = open(join(folder, name))
    await blueGreen.start()
    const share = blueGreen.deployment?.status.percentage ?? 0
    await blueGreen.stop()
    await storage.stop()
    return share
  }

  // The benchmark blue-green-resume does so at each byte and with each bit.
  it('is gone on with at the share of the last record that is whole', async () => {
    const header = whole.indexOf('\n') + 1
    expect(shareIn(whole)).toBe(100)
    for (let at = header; at < whole.length; at += 101) {
      const cut = whole.subarray(0, at)
      expect([at, await resumed(`cut-${at}`, cut)]).toEqual([at, shareIn(cut)])
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
      const share = await resumed(`flipped-${at}`, flipped)
      // Of the last line that was not touched, or of one behind it.
      expect(share).toBeGreaterThanOrEqual(shareIn(whole.subarray(0, whole.lastIndexOf('\n', at - 1) + 1)))
      expect(share).toBeLessThanOrEqual(100)
    }
  }, 180_000)
})
