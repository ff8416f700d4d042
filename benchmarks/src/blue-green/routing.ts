import { createHash } from 'node:crypto'
import { bucketOf, hash, makeRoute, versionFor } from '../../../packages/blue-green/src/routing.js'
import { snowflakes } from '../ids.js'
import { measure, print, type Candidate } from '../measure.js'

const IDS = 4_096
const SALT = 'd1.salt'
const share = 0.5 * 2 ** 32

/** Who serves a guild, in the middle of a deployment: the decision alone. */
export async function routing(): Promise<void> {
  const ids = snowflakes(IDS)
  const route = makeRoute('v1', 'v2', 50, SALT)
  const withFirst = makeRoute('v1', 'v2', 50, SALT, ['1', '2', '3'])
  const saltHash = hash(SALT)
  const buckets = Uint32Array.from(ids, (id) => bucketOf(id, saltHash))

  print(
    'routing: which of two versions serves a guild, 50 % each',
    await measure(
      [
        {
          name: 'floor: a bucket known before, compared',
          run(count) {
            let greens = 0
            for (let i = 0; i < count; i++) if ((buckets[i & (IDS - 1)] as number) < share) greens++
            seen(greens)
          },
        },
        of('FNV-1a, finalizer, compared', ids, (id) => bareBucket(id, saltHash) < share),
        of('evenkeel versionFor', ids, (id) => versionFor(route, id) === 'v2'),
        of('evenkeel versionFor, with an allow-list', ids, (id) => versionFor(withFirst, id) === 'v2'),
        { ...of('sha1, as LaunchDarkly buckets', ids, (id) => sha1Bucket(id) < 0.5, 0.05), share: 0.05 },
      ],
      2_000_000,
    ),
  )
}

function of(name: string, ids: readonly string[], isGreen: (id: string) => boolean, part = 1): Candidate {
  return {
    name,
    run(count) {
      let greens = 0
      for (let i = 0; i < count * part; i++) if (isGreen(ids[i & (IDS - 1)] as string)) greens++
      seen(greens)
    },
  }
}

/** The hash alone, in one function. */
function bareBucket(id: string, saltHash: number): number {
  let h = 0x811c9dc5
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 0x01000193)
  h ^= saltHash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Sixty bits of the sum over key, salt and id. */
function sha1Bucket(id: string): number {
  const digest = createHash('sha1').update(`version.${SALT}.${id}`).digest('hex')
  return parseInt(digest.slice(0, 15), 16) / 2 ** 60
}

/** So that the work is not left out. */
function seen(greens: number): void {
  if (greens === 0) throw new Error('No guild at all is on green')
}
