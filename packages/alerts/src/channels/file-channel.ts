import { rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { AlertMessage } from '../alert.js'
import { DeliveryError } from '../errors.js'
import { AppendFile, makeDirectory, removeIfThere, syncDirectory } from '../spool/durable-files.js'
import { type Channel, type ChannelOptions, channelOptionsOf, requireChannelOptions } from './channel.js'

/** How {@link fileChannel} writes. */
export interface FileChannelOptions extends ChannelOptions {
  /** The file; the directory is made. One process at a time. */
  readonly path: string
  /**
   * Bytes after which a new file begins, from 1.
   *
   * @defaultValue 10_000_000
   */
  readonly maxBytes?: number
  /**
   * How many full files are kept beside it, from 0: `alerts.jsonl.1` is the youngest.
   *
   * @defaultValue 5
   */
  readonly maxFiles?: number
}

/** What {@link fileChannel} uses when its options leave it open. */
export const fileChannelDefaults: Required<Pick<FileChannelOptions, 'maxBytes' | 'maxFiles'>> = {
  maxBytes: 10_000_000,
  maxFiles: 5,
}

/**
 * Writes each notice as a line of JSON, with the key of its message, and syncs the file before it says that people
 * were told. When the file is full, the next one begins.
 *
 * @param options - the file, and how much of it is kept
 * @returns the channel
 * @throws TypeError when there is no path, or an option does not exist
 * @throws RangeError when a size or a count is out of range
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 * import { Alerts, fileChannel } from '@evenkeel/alerts'
 *
 * const alerts = new Alerts({ channels: { log: fileChannel({ path: 'data/alerts.jsonl' }) }, path: false })
 * await alerts.start()
 * alerts.fire({ name: 'disk full', severity: 'CRITICAL', message: '0 bytes left' })
 * await alerts.flush()
 * await alerts.stop()
 * console.log(readFileSync('data/alerts.jsonl', 'utf8').includes('disk full')) // => true
 * ```
 */
export function fileChannel(options: FileChannelOptions): Channel {
  requireChannelOptions('fileChannel', options, ['path', 'maxBytes', 'maxFiles'])
  const { path, maxBytes = fileChannelDefaults.maxBytes, maxFiles = fileChannelDefaults.maxFiles } = options
  if (typeof path !== 'string' || path === '') throw new TypeError('fileChannel: path must name a file')
  if (!(maxBytes >= 1)) throw new RangeError('fileChannel: maxBytes must be a number from 1')
  if (!Number.isInteger(maxFiles) || maxFiles < 0)
    throw new RangeError('fileChannel: maxFiles must be a whole number from 0')
  let isBusy = false
  return {
    options: { maxPerMinute: Infinity, ...channelOptionsOf('fileChannel', options) },
    async send(message) {
      // A disk that hangs cannot be told to stop, and each further try would hang too.
      if (isBusy) throw new DeliveryError('the disk has not answered yet', { retryable: true, applied: 'unknown' })
      isBusy = true
      try {
        await append(path, message, maxBytes, maxFiles)
      } finally {
        isBusy = false
      }
    },
  }
}

async function append(path: string, message: AlertMessage, maxBytes: number, maxFiles: number): Promise<void> {
  await makeDirectory(dirname(path))
  const lines = message.notices.map((notice) => JSON.stringify({ messageId: message.id, ...notice }))
  const bytes = Buffer.from(`${lines.join('\n')}\n`)
  let file = await AppendFile.openLines(path)
  try {
    if (file.length > 0 && file.length + bytes.length > maxBytes) {
      await file.close()
      await rotate(path, maxFiles)
      file = await AppendFile.openLines(path)
    }
    const isNew = file.length === 0
    file.write(bytes)
    await file.sync()
    if (isNew) await syncDirectory(dirname(path))
  } finally {
    await file.close().catch(() => undefined)
  }
}

/** The oldest goes, and each of the others becomes one older. */
async function rotate(path: string, maxFiles: number): Promise<void> {
  if (maxFiles === 0) return removeIfThere(path)
  for (let age = maxFiles; age > 0; age--) {
    const younger = age === 1 ? path : `${path}.${age - 1}`
    await rename(younger, `${path}.${age}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
}
