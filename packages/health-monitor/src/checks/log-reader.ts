import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { onDemand } from './on-demand.js'

/** More than that is not read at once: a look is to cost little. */
const MAX_BYTES = 4 * 2 ** 20

/** So much of a line is looked at. */
const MAX_LINE_LENGTH = 10_000

/** So many bytes before the place where reading goes on must still be the same. */
const MARK_BYTES = 64

const LINE_FEED = 0x0a
const NOTHING = 0

/** Where reading goes on. */
interface Place {
  /** Tells the file from others of the same name. */
  readonly file: string
  readonly offset: number
  /** The bytes before the offset: a file that was emptied and has grown again since does not have them. */
  readonly mark: Buffer
}

/** What was added to a log file since the last look. */
export interface Added {
  readonly isMissing: boolean
  readonly isFirst: boolean
  /** Complete lines, each cut at 10,000 characters. */
  readonly lines: readonly string[]
  readonly skippedBytes: number
}

/** Follows a log file through rotations, without keeping it open. */
export class LogReader {
  readonly #path: string
  #place: Place | undefined
  #hasLooked = false
  /** The beginning of a line whose end was not there yet. */
  #rest: Buffer = Buffer.alloc(0)
  #lines: string[] = []
  #skippedBytes = 0

  constructor(path: string) {
    this.#path = path
  }

  async read(): Promise<Added> {
    this.#lines = []
    this.#skippedBytes = 0
    const file = await onDemand('node:fs/promises').open(this.#path, 'r').catch(ifMissing)
    const isFirst = !this.#hasLooked
    this.#hasLooked = true
    if (file === undefined) {
      await this.#finishOld(undefined)
      return { isMissing: true, isFirst: false, lines: this.#lines, skippedBytes: this.#skippedBytes }
    }
    try {
      const id = identify(await file.stat())
      if (isFirst) await this.#begin(file, id)
      else {
        await this.#finishOld(id)
        await this.#readOn(file, id)
      }
      return { isMissing: false, isFirst, lines: this.#lines, skippedBytes: this.#skippedBytes }
    } finally {
      await file.close()
    }
  }

  async #begin(file: FileHandle, id: string): Promise<void> {
    const { size } = await file.stat()
    this.#place = { file: id, offset: size, mark: await readBytes(file, Math.max(0, size - MARK_BYTES), size) }
    // The line that is being written now will be complete without its beginning; it counts by what is to come.
  }

  /** Reads the rest of the file that had the name before, if it still lies beside it. */
  async #finishOld(current: string | undefined): Promise<void> {
    const place = this.#place
    if (place === undefined || place.file === current) return
    const old = await findBeside(this.#path, place.file)
    if (old !== undefined) {
      try {
        if (await goesOnIn(old, place)) await this.#readOn(old, place.file)
      } finally {
        await old.close()
      }
    }
    // It is missing for a moment, perhaps, in the middle of a rotation; where to read on is known only of a file.
    if (current !== undefined) this.#startOver(current)
  }

  async #readOn(file: FileHandle, id: string): Promise<void> {
    const { size } = await file.stat()
    const place = this.#place
    if (place === undefined || !(await goesOnIn(file, place))) this.#startOver(id)
    const from = Math.max(this.#place?.offset ?? 0, size - MAX_BYTES)
    const skipped = from - (this.#place?.offset ?? 0)
    if (skipped > 0) this.#rest = Buffer.alloc(0)
    this.#skippedBytes += skipped
    const bytes = await readBytes(file, from, size)
    this.#split(skipped > 0 && bytes[0] !== NOTHING ? afterFirstLine(bytes) : bytes)
    const offset = from + bytes.length
    const mark = bytes.length >= MARK_BYTES ? bytes : await readBytes(file, Math.max(0, offset - MARK_BYTES), offset)
    this.#place = { file: id, offset, mark: Buffer.from(mark.subarray(-MARK_BYTES)) }
  }

  #startOver(id: string): void {
    this.#place = { file: id, offset: 0, mark: Buffer.alloc(0) }
    this.#rest = Buffer.alloc(0)
  }

  /** Cuts at line feeds and decodes afterwards, so that no character is torn. */
  #split(bytes: Buffer): void {
    let all = withoutHole(Buffer.concat([this.#rest, bytes]))
    for (let end = all.indexOf(LINE_FEED); end >= 0; end = all.indexOf(LINE_FEED)) {
      this.#lines.push(
        all
          .subarray(0, Math.min(end, 4 * MAX_LINE_LENGTH))
          .toString('utf8')
          .slice(0, MAX_LINE_LENGTH),
      )
      all = all.subarray(end + 1)
    }
    this.#rest = Buffer.from(all.subarray(0, 4 * MAX_LINE_LENGTH))
  }
}

/** Numbers are used again, so what lies before the offset must be the same besides. */
function identify({ dev, ino }: { dev: number; ino: number }): string {
  return `${dev}:${ino}`
}

/** A file that was emptied is too short, or has other bytes there. */
async function goesOnIn(file: FileHandle, { offset, mark }: Place): Promise<boolean> {
  return mark.equals(await readBytes(file, offset - mark.length, offset))
}

/** As many as there are. */
async function readBytes(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from)
  let length = 0
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, from + length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return bytes.subarray(0, length)
}

/** Who goes on writing where he was in a file that was emptied leaves a hole before, which reads as zeros. */
function withoutHole(bytes: Buffer): Buffer {
  let begin = 0
  while (begin < bytes.length && bytes[begin] === NOTHING) begin++
  return bytes.subarray(begin)
}

function afterFirstLine(bytes: Buffer): Buffer {
  return bytes.subarray(bytes.indexOf(LINE_FEED) + 1)
}

/** `bot.log` becomes `bot.log.1`, `bot.log-20260101` or the like. */
async function findBeside(path: string, id: string): Promise<FileHandle | undefined> {
  const { open, readdir, stat } = onDemand('node:fs/promises')
  const [folder, name] = [dirname(path), basename(path)]
  for (const other of await readdir(folder).catch(() => [])) {
    if (other === name || !other.startsWith(name.replace(/\.[^.]*$/, ''))) continue
    const otherPath = join(folder, other)
    const found = await stat(otherPath).catch(() => undefined)
    if (found !== undefined && identify(found) === id) return open(otherPath, 'r').catch(ifMissing)
  }
  return undefined
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
