import { fdatasync, writeSync } from 'node:fs'
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Alerts may hold what is nobody else's business. */
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
const NEWLINE = 0x0a

/** A file that is only appended to. */
export class AppendFile {
  readonly #fd: number
  readonly #close: () => Promise<void>
  #length: number

  private constructor(fd: number, length: number, close: () => Promise<void>) {
    this.#fd = fd
    this.#length = length
    this.#close = close
  }

  /** Opens it, or makes it. It is appended to from its end. */
  static async open(path: string): Promise<AppendFile> {
    const handle = await open(path, 'a', FILE_MODE)
    const { size } = await handle.stat()
    return new AppendFile(handle.fd, size, () => handle.close())
  }

  /** Opens a file of lines. What a crash or a full disk left of a line is ended, so that it spoils no other. */
  static async openLines(path: string): Promise<AppendFile> {
    const handle = await open(path, 'a+', FILE_MODE)
    try {
      const { size } = await handle.stat()
      const file = new AppendFile(handle.fd, size, () => handle.close())
      const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
      if (size > 0 && buffer[0] !== NEWLINE) file.write(Buffer.of(NEWLINE))
      return file
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** How long it is, in bytes. */
  get length(): number {
    return this.#length
  }

  /** Hands all of it to the operating system, which may take it in parts, above all on a full disk. */
  write(bytes: Uint8Array): void {
    let written = 0
    while (written < bytes.length) {
      const count = writeSync(this.#fd, bytes, written, bytes.length - written)
      if (count <= 0) throw new Error(`Only ${written} of ${bytes.length} bytes were written`)
      written += count
    }
    this.#length += bytes.length
  }

  /** Waits until all of it is on the disk. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  close(): Promise<void> {
    return this.#close()
  }
}

/** Makes a directory, and those that lead to it, durable. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: DIRECTORY_MODE })
  if (first === undefined) return
  // It is told as it was asked for, which may be relative.
  const { length } = resolve(first)
  for (let made = resolve(path); made.length >= length; made = dirname(made)) await syncDirectory(dirname(made))
}

/** Makes creations and renames in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory, and needs no sync of it.
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The content, or `undefined` when there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Removes a file if it is there. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** Puts a file in place, whole and durable, or leaves what was there. */
export async function replaceFile(directory: string, name: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const temporary = `${directory}/${name}.tmp`
  await removeIfThere(temporary)
  const file = await AppendFile.open(temporary)
  try {
    for (const chunk of chunks) file.write(chunk)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, `${directory}/${name}`)
  await syncDirectory(directory)
}
