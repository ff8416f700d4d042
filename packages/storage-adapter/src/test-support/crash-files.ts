import type { FileIdentity, FileOps, OpenFile } from '../file-ops.js'

interface Inode {
  readonly ino: number
  data: Buffer
  /** What is on the disk for certain. */
  synced: Buffer
}

/** What is left after a crash: all that was written (the process was killed), or only what was synced (power cut). */
export type CrashKind = 'kill' | 'power cut'

/** A disk in memory on which any step can fail or be the last one. */
export class CrashFiles implements FileOps {
  #names = new Map<string, Inode>()
  #syncedNames = new Map<string, Inode>()
  #nextIno = 1
  #isDead = false
  /** Files that a process opened are of no use to the next one. */
  #life = 0
  /** How many steps were taken. */
  steps = 0
  /** What was done, for messages. */
  readonly log: string[] = []
  /** At this step an error is thrown; a write then leaves half of its bytes. */
  failAt = Infinity
  /** At this step, and at all after it, nothing happens any more. */
  crashAt = Infinity
  /** The most bytes that one write takes. */
  maxWrite = Infinity

  async makeDirectory(): Promise<void> {
    this.#step('makeDirectory')
  }

  async read(path: string): Promise<Buffer | undefined> {
    this.#step(`read ${path}`)
    const inode = this.#names.get(path)
    return inode && Buffer.from(inode.data)
  }

  async open(path: string, flags: 'wx' | 'w' | 'r+'): Promise<OpenFile> {
    this.#step(`open ${path} ${flags}`)
    const existing = this.#names.get(path)
    if (flags === 'wx' && existing !== undefined) throw failure('EEXIST')
    if (flags === 'r+' && existing === undefined) throw failure('ENOENT')
    const inode = existing ?? { ino: this.#nextIno++, data: Buffer.alloc(0), synced: Buffer.alloc(0) }
    if (flags !== 'r+') inode.data = Buffer.alloc(0)
    this.#names.set(path, inode)
    const life = this.#life
    const step = (what: string, onFailure?: () => void): void => {
      if (life !== this.#life) throw failure('EBADF')
      this.#step(what, onFailure)
    }
    return {
      write: async (bytes, position) => {
        const half = Buffer.from(bytes.subarray(0, Math.floor(bytes.length / 2)))
        step(`write ${path}`, () => put(inode, half, position))
        const taken = Buffer.from(bytes.subarray(0, this.maxWrite))
        put(inode, taken, position)
        return taken.length
      },
      truncate: async (length) => {
        step(`truncate ${path}`)
        inode.data = Buffer.from(inode.data.subarray(0, length))
      },
      datasync: async () => {
        step(`datasync ${path}`)
        inode.synced = Buffer.from(inode.data)
      },
      close: async () => undefined,
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step(`rename ${from}`)
    this.#names.set(to, this.#inode(from))
    this.#names.delete(from)
  }

  async link(from: string, to: string): Promise<void> {
    this.#step(`link ${to}`)
    if (this.#names.has(to)) throw failure('EEXIST')
    this.#names.set(to, this.#inode(from))
  }

  async remove(path: string): Promise<void> {
    this.#step(`remove ${path}`)
    this.#names.delete(path)
  }

  async syncDirectory(path: string): Promise<void> {
    this.#step(`syncDirectory ${path}`)
    this.#syncedNames = new Map(this.#names)
  }

  identify(path: string): FileIdentity | undefined {
    const inode = this.#names.get(path)
    return inode && { dev: 1, ino: inode.ino, size: inode.data.length }
  }

  /** The process is gone, and its lock with it; the next one finds what the crash left. */
  reboot(kind: CrashKind): void {
    if (kind === 'power cut') {
      this.#names = new Map(this.#syncedNames)
      for (const inode of this.#names.values()) inode.data = Buffer.from(inode.synced)
    }
    for (const path of this.#names.keys()) if (path.endsWith('/lock')) this.#names.delete(path)
    this.#isDead = false
    this.#life++
    this.crashAt = Infinity
    this.failAt = Infinity
    this.steps = 0
  }

  /** Puts bytes where they would not come by themselves: damage. */
  plant(path: string, bytes: Buffer): void {
    const inode = { ino: this.#nextIno++, data: bytes, synced: bytes }
    this.#names.set(path, inode)
    this.#syncedNames.set(path, inode)
  }

  content(path: string): Buffer | undefined {
    return this.#names.get(path)?.data
  }

  /** Whether the step at which all ends has come. */
  get isDead(): boolean {
    return this.#isDead
  }

  get paths(): string[] {
    return [...this.#names.keys()]
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw failure('ENOENT')
    return inode
  }

  #step(what: string, onFailure: () => void = () => undefined): void {
    if (this.#isDead) throw failure('EIO')
    this.steps++
    this.log.push(what)
    if (this.steps !== this.failAt && this.steps < this.crashAt) return
    onFailure()
    this.#isDead = this.steps >= this.crashAt
    throw failure('EIO')
  }
}

function put(inode: Inode, bytes: Buffer, position: number): void {
  const data = Buffer.alloc(Math.max(inode.data.length, position + bytes.length))
  inode.data.copy(data)
  bytes.copy(data, position)
  inode.data = data
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}
