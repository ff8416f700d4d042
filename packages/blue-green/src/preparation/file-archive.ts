import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { systemClock } from '../system-clock.js'
import type { Archive, ArchivedRow } from './archive.js'
import { BackupDamagedError } from './errors.js'

/** The format of the files; a newer one is refused. */
const format = 1

/** Bytes that are gathered before they are written. */
const chunkBytes = 256 * 1024

/**
 * Keeps backups as files of JSON lines, which a person can read: a head, a line for each row, and an end with the number of rows and
 * the SHA-256 of all that precedes it.
 *
 * @remarks
 * A file has its name only when all of it is on the disk (written beside, synced, linked), and no file is ever overwritten.
 * It is readable for its owner alone, and so is the folder where it is made here. No backup is deleted: keep an eye on the disk, for
 * example with {@link diskSpaceCheck}. What a killed process left half written (`.part`) is, a day later. The file system must know
 * hard links, as all but FAT do.
 *
 * @param folder - made when it is not there
 * @throws TypeError when it is no path
 */
export function fileArchive(folder: string): Archive {
  if (typeof folder !== 'string' || folder === '') throw new TypeError('fileArchive: give the folder for the backups')
  const pathOf = (name: string): string => {
    if (/^[\w][\w.-]{0,200}$/.test(name)) return join(folder, `${name}.jsonl`)
    throw new TypeError(`A backup is named by letters, digits, "_", "." and "-", not ${JSON.stringify(name)}`)
  }
  return {
    async write(name, rows, signal) {
      const path = pathOf(name)
      await makeFolder(folder)
      await removeAbandoned(folder)
      const part = join(folder, `.${randomUUID()}.part`)
      try {
        await writeFile(part, linesOf(rows), signal)
        // Unlike a rename, a link never takes the place of what is there.
        await link(part, path)
      } finally {
        await rm(part, { force: true })
      }
      await syncFolder(folder)
      return { bytes: (await stat(path)).size }
    },
    read: (name, signal) => readFile(name, pathOf(name), signal),
  }
}

async function* linesOf(rows: AsyncIterable<ArchivedRow>): AsyncGenerator<string> {
  const hash = createHash('sha256')
  // JSON.stringify makes 0 of -0, though JSON has both.
  const mark = randomUUID()
  const marked = (_key: string, value: unknown): unknown => (Object.is(value, -0) ? mark : value)
  const line = (value: unknown): string => {
    const text = `${JSON.stringify(value, marked).replaceAll(`"${mark}"`, '-0')}\n`
    hash.update(text)
    return text
  }
  yield line({ evenkeelBackup: format })
  let count = 0
  for await (const { collection, key, value, expiresAt } of rows) {
    count++
    yield line(expiresAt === undefined ? [collection, key, value] : [collection, key, value, expiresAt])
  }
  yield `${JSON.stringify({ rows: count, sha256: hash.digest('hex') })}\n`
}

async function writeFile(path: string, lines: AsyncIterable<string>, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    let pending: string[] = []
    let size = 0
    // writeFile() of a handle goes on after a short write.
    const flush = async (): Promise<void> => file.writeFile(pending.join(''))
    for await (const line of lines) {
      signal.throwIfAborted()
      pending.push(line)
      size += line.length
      if (size < chunkBytes) continue
      await flush()
      ;[pending, size] = [[], 0]
    }
    await flush()
    await file.sync()
  } finally {
    await file.close()
  }
}

/** As durable as what is put into it. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = resolve(folder); made.length >= resolve(first).length; made = dirname(made)) {
    await syncFolder(dirname(made))
  }
}

/** A file that is being written was written to a moment ago; one of yesterday is of a process that is dead. */
const abandonedMs = 86_400_000

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^\.[\da-f-]{36}\.part$/.test(name)) continue
    const path = join(folder, name)
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }))
    if (mtimeMs < systemClock.now() - abandonedMs) await rm(path, { force: true })
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Rows are yielded before the end has been seen: who takes them must not rely on them until the iteration has ended well. */
async function* readFile(name: string, path: string, signal: AbortSignal): AsyncGenerator<ArchivedRow> {
  const hash = createHash('sha256')
  const damaged = (why: string): Error => new BackupDamagedError(name, why)
  let [number, count, isWhole] = [0, 0, false]
  const input = createReadStream(path, { encoding: 'utf8' })
  try {
    for await (const text of linesIn(input as AsyncIterable<string>, damaged)) {
      signal.throwIfAborted()
      number++
      if (isWhole) throw damaged(`line ${number} comes after its end`)
      const line = parse(text)
      if (line === undefined) throw damaged(`line ${number} cannot be read`)
      if (number === 1) {
        const { evenkeelBackup } = line as { evenkeelBackup?: unknown }
        if (evenkeelBackup !== format)
          throw damaged(`it has format ${String(evenkeelBackup)}, and this release reads ${format}`)
      } else if (Array.isArray(line)) {
        count++
        const [collection, key, value, expiresAt] = line as [string, string, unknown, number | undefined]
        yield { collection, key, value, expiresAt }
      } else {
        const { rows, sha256 } = line as { rows?: unknown; sha256?: unknown }
        if (rows !== count) throw damaged(`it has ${count} rows, and its end says ${String(rows)}`)
        if (sha256 !== hash.digest('hex')) throw damaged('its checksum does not fit')
        isWhole = true
        continue
      }
      hash.update(`${text}\n`)
    }
  } finally {
    input.destroy()
  }
  if (!isWhole) throw damaged('its end is missing')
}

/** More characters than this in one line are none of a backup: it is left before it fills the memory. */
const maxLineLength = 64 * 1024 * 1024

/** By line feeds alone: node:readline also splits at U+2028, which JSON leaves as it is. */
async function* linesIn(chunks: AsyncIterable<string>, damaged: (why: string) => Error): AsyncGenerator<string> {
  // Joined once a line, not once a chunk.
  let [parts, length]: [string[], number] = [[], 0]
  for await (const chunk of chunks) {
    const [first = '', ...others] = chunk.split('\n')
    parts.push(first)
    length += first.length
    if (length > maxLineLength) throw damaged(`it has a line that is longer than ${maxLineLength} characters`)
    const last = others.pop()
    if (last === undefined) continue
    yield parts.join('')
    yield* others
    ;[parts, length] = [[last], last.length]
  }
  if (length > 0) yield parts.join('')
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
