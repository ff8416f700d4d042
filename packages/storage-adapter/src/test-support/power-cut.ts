import { oneOf, type Random } from './random.js'

/** A disk writes that many bytes, at a multiple of it, wholly or not at all. */
const SECTOR = 512

/** What was done to the content of a file since it was last synced. */
export type ContentChange =
  | { readonly type: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly type: 'truncate'; readonly length: number }

/** What was done to the names in a directory since it was last synced. */
export interface NameChange<Inode> {
  readonly directory: string
  /** The names that are gone. */
  readonly removed: readonly string[]
  /** The name that is there. */
  readonly added?: { readonly path: string; readonly inode: Inode } | undefined
}

/**
 * What a power cut leaves of a file. Of what was done since the last sync any part may have reached the disk: each
 * sector of each write, and each change of the length, for itself.
 */
export function survivingContent(synced: Buffer, changes: readonly ContentChange[], random: Random): Buffer {
  const luck = pickLuck(random)
  let content: Buffer = Buffer.from(synced)
  for (const change of changes) {
    if (change.type === 'truncate') {
      if (random() < luck) content = resize(content, change.length)
      continue
    }
    const end = change.position + change.bytes.length
    for (let at = change.position; at < end;) {
      const next = Math.min(end, at - (at % SECTOR) + SECTOR)
      const piece = change.bytes.subarray(at - change.position, next - change.position)
      if (random() < luck) content = overwrite(content, piece, at)
      at = next
    }
  }
  return content
}

/** The content after all of the changes. */
export function applyContentChanges(content: Buffer, changes: readonly ContentChange[]): Buffer {
  let changed = content
  for (const change of changes) {
    changed =
      change.type === 'truncate' ? resize(changed, change.length) : overwrite(changed, change.bytes, change.position)
  }
  return changed
}

/** What a power cut leaves of the names: of the changes since the last sync of their directory, each for itself. */
export function survivingNames<Inode>(
  synced: ReadonlyMap<string, Inode>,
  changes: readonly NameChange<Inode>[],
  random: Random,
): Map<string, Inode> {
  const luck = pickLuck(random)
  const names = new Map(synced)
  for (const change of changes) if (random() < luck) applyNameChange(names, change)
  return names
}

/** Changes names as the change says. */
export function applyNameChange<Inode>(names: Map<string, Inode>, { removed, added }: NameChange<Inode>): void {
  for (const path of removed) names.delete(path)
  if (added !== undefined) names.set(added.path, added.inode)
}

/** The content with other bytes from a position on; a gap before them is full of zeros. */
export function overwrite(content: Buffer, bytes: Buffer, position: number): Buffer {
  const end = position + bytes.length
  const changed = end > content.length ? resize(content, end) : Buffer.from(content)
  bytes.copy(changed, position)
  return changed
}

/** The content cut, or with zeros at the end. */
export function resize(content: Buffer, length: number): Buffer {
  const changed = Buffer.alloc(length)
  content.copy(changed)
  return changed
}

/** Sometimes nearly all or nearly nothing arrives: faults hide in what is rare. */
function pickLuck(random: Random): number {
  return oneOf(random, [0, 0.1, 0.5, 0.9, 1])
}
