import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { FlagDocumentError } from '../document-error.js'

/** The text of a file, and which file it was. */
export interface FileText {
  readonly text: string
  /** The same for as long as the file is written in place; another one when it was replaced. */
  readonly identity: string
  /** What {@link signatureAt} gives for as long as it is this text. */
  readonly signature: string
}

/** What a file may be. */
export interface ReadTextOptions {
  /** The largest size that is read, in bytes. */
  readonly maxBytes: number
  /** What errors call the file. */
  readonly source: string
}

/** How often a file is read anew that was written meanwhile. */
const MAX_ATTEMPTS = 5

/**
 * Reads a file of UTF-8.
 *
 * @throws FlagDocumentError when it is absent, unreadable, no file, too large or not UTF-8
 */
export async function readTextFile(path: string, { maxBytes, source }: ReadTextOptions): Promise<FileText> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new FlagDocumentError(reason, { source, cause })
  }
  let handle: FileHandle
  try {
    // A pipe without a writer would otherwise be waited for without end.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    return refuse(describe(error), error)
  }
  try {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const stats = await handle.stat({ bigint: true })
      if (!stats.isFile())
        return refuse(`it is no file, but ${stats.isDirectory() ? 'a directory' : 'a device or pipe'}`)
      if (stats.size > maxBytes) return refuse(`it is larger than ${maxBytes} bytes (maxBytes)`)
      const bytes = Buffer.allocUnsafe(Number(stats.size))
      const bytesRead = await readAll(handle, bytes)
      const signature = signatureOf(stats)
      // Else it may begin as one document and end as another.
      if (bytesRead < bytes.length || signature !== signatureOf(await handle.stat({ bigint: true }))) continue
      const text = decode(bytes) ?? refuse('it is not UTF-8; save it as UTF-8')
      return { text, identity: `${stats.dev}:${stats.ino}`, signature }
    }
    return refuse('it changes while it is read')
  } catch (error) {
    if (error instanceof FlagDocumentError) throw error
    return refuse(describe(error), error)
  } finally {
    // Nobody needs to wait for that.
    handle.close().catch(() => undefined)
  }
}

/**
 * Changes with each write to the file, as far as the file system's clock can tell them apart. Why there is no file, if
 * there is none.
 */
export async function signatureAt(path: string): Promise<string> {
  try {
    return signatureOf(await stat(path, { bigint: true }))
  } catch (error) {
    return describe(error)
  }
}

/** The time of the last change counts too: a writer can set that of the modification. */
function signatureOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

/** @returns how much there was, if it was not enough */
async function readAll(handle: FileHandle, bytes: Uint8Array): Promise<number> {
  let length = 0
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return length
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function describe(error: unknown): string {
  const { code } = error as { code?: unknown }
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file'
    case 'EACCES':
    case 'EPERM':
      return 'this process may not read it'
    case 'ELOOP':
      return 'its symbolic links go round in a circle'
    default:
      return `it cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
}
