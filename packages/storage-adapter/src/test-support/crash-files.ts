import { dirname } from 'node:path/posix'
import type { FileIdentity, FileOps, OpenFile } from '../file/file-ops.js'
import {
  applyContentChanges,
  applyNameChange,
  overwrite,
  resize,
  survivingContent,
  survivingNames,
  type ContentChange,
  type NameChange,
} from './power-cut.js'
import type { Random } from './random.js'

interface Inode {
  readonly ino: number
  /** What processes see. */
  data: Buffer
  /** What is on the disk for certain. */
  synced: Buffer
  /** What was done since. */
  changes: ContentChange[]
  /** A sync failed, and the system took what it could not write for written: no later sync writes that. */
  isForgetful: boolean
  /** How many have it open. */
  open: number
  changedMs: number
}

/**
 * What is left after a crash: all that was written (the process was killed), or what was synced and, by chance, a part
 * of the rest (power cut).
 */
export type CrashKind = 'kill' | 'power cut'

/** A disk in memory on which any step can fail or be the last one. */
export class CrashFiles implements FileOps {
  #names = new Map<string, Inode>()
  #syncedNames = new Map<string, Inode>()
  #nameChanges: NameChange<Inode>[] = []
  #now = 0
  /** Those that were opened since the last crash. */
  readonly #opened = new Set<Inode>()
  #isDead = false
  /** Files that a process opened are of no use to the next one. */
  #life = 0
  /** How many steps were taken. */
  steps = 0
  /** What was done, for messages. */
  readonly log: string[] = []
  /** At this step an error is thrown; a write then leaves half of its bytes. */
  failAt = Infinity
  /** How many steps fail from there on. */
  failCount = 1
  /** The code of that error. */
  failCode = 'EIO'
  /** At this step, and at all after it, nothing happens any more. */
  crashAt = Infinity
  /** The most bytes that one write takes. */
  maxWrite = Infinity
  /** The most bytes that all files together may have. */
  capacity = Infinity
  /** What to wait for before a sync is begun; for a look at what goes on meanwhile. */
  beforeSync: (path: string) => Promise<void> | undefined = () => undefined
  /** What of the unsynced a power cut leaves is up to this; without it, nothing is left. */
  chance: Random | undefined

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
    const inode = existing ?? this.#create(path)
    if (flags !== 'r+') truncate(inode, 0)
    inode.open++
    this.#opened.add(inode)
    let isOpen = true
    const life = this.#life
    const step = (what: string, onFailure?: () => void): void => {
      if (life !== this.#life) throw failure('EBADF')
      this.#step(what, onFailure)
    }
    return {
      write: (bytes, position) => {
        inode.changedMs = ++this.#now
        step(`write ${path}`, () => write(inode, bytes.subarray(0, Math.floor(bytes.length / 2)), position))
        const room = this.capacity - this.#used() + Math.max(0, inode.data.length - position)
        const taken = bytes.subarray(0, Math.min(this.maxWrite, Math.max(0, room)))
        if (taken.length === 0 && bytes.length > 0) throw failure('ENOSPC')
        write(inode, taken, position)
        return taken.length
      },
      truncate: async (length) => {
        step(`truncate ${path}`)
        truncate(inode, length)
      },
      datasync: async () => {
        await this.beforeSync(path)
        step(`datasync ${path}`, () => this.#failSync(inode))
        settle(inode)
      },
      close: async () => {
        if (isOpen && life === this.#life) inode.open--
        isOpen = false
      },
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step(`rename ${from}`)
    this.#change(to, { removed: [from], added: { path: to, inode: this.#inode(from) } })
  }

  async link(from: string, to: string): Promise<void> {
    this.#step(`link ${to}`)
    if (this.#names.has(to)) throw failure('EEXIST')
    this.#change(to, { removed: [], added: { path: to, inode: this.#inode(from) } })
  }

  async remove(path: string): Promise<void> {
    this.#step(`remove ${path}`)
    this.#change(path, { removed: [path] })
  }

  async syncDirectory(path: string): Promise<void> {
    this.#step(`syncDirectory ${path}`)
    for (const change of this.#nameChanges) {
      if (change.directory === path) applyNameChange(this.#syncedNames, change)
    }
    this.#nameChanges = this.#nameChanges.filter(({ directory }) => directory !== path)
  }

  identify(path: string): FileIdentity | undefined {
    const inode = this.#names.get(path)
    return inode && { dev: 1, ino: inode.ino, size: inode.data.length, changedMs: inode.changedMs }
  }

  /** The process is gone, and the next one finds what the crash left, such as the lock of a process that is gone. */
  reboot(kind: CrashKind): void {
    if (kind === 'power cut') this.#cutPower()
    for (const [path, inode] of this.#names) if (path.endsWith('/lock')) makeStale(inode)
    for (const inode of this.#opened) inode.open = 0
    this.#opened.clear()
    this.#isDead = false
    this.#life++
    this.crashAt = Infinity
    this.failAt = Infinity
    this.capacity = Infinity
    this.beforeSync = () => undefined
    this.steps = 0
  }

  /** Puts bytes where they would not come by themselves: damage. */
  plant(path: string, bytes: Buffer): void {
    const inode = this.#newInode(bytes)
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

  #cutPower(): void {
    const { chance } = this
    const changes = this.#nameChanges
    this.#names = chance === undefined ? new Map(this.#syncedNames) : survivingNames(this.#syncedNames, changes, chance)
    for (const inode of new Set(this.#names.values())) {
      inode.data = chance === undefined ? inode.synced : survivingContent(inode.synced, inode.changes, chance)
      inode.isForgetful = false
      settle(inode)
    }
    this.#syncedNames = new Map(this.#names)
    this.#nameChanges = []
  }

  #create(path: string): Inode {
    const inode = this.#newInode(Buffer.alloc(0))
    this.#change(path, { removed: [], added: { path, inode } })
    return inode
  }

  /** The lowest number that is free, as file systems do: the number of a removed file comes back soon. */
  #newInode(data: Buffer): Inode {
    const used = new Set<number>()
    for (const { ino } of this.#names.values()) used.add(ino)
    for (const { ino, open } of this.#opened) if (open > 0) used.add(ino)
    let ino = 1
    while (used.has(ino)) ino++
    return { ino, data, synced: data, changes: [], isForgetful: false, open: 0, changedMs: ++this.#now }
  }

  #failSync(inode: Inode): void {
    // A process that died in a sync leaves what it wrote as unsynced as it was.
    if (this.steps >= this.crashAt) return
    const { chance } = this
    if (chance !== undefined) inode.synced = survivingContent(inode.synced, inode.changes, chance)
    inode.changes = []
    inode.isForgetful = true
  }

  #change(path: string, change: Omit<NameChange<Inode>, 'directory'>): void {
    const inDirectory = { directory: dirname(path), ...change }
    applyNameChange(this.#names, inDirectory)
    this.#nameChanges.push(inDirectory)
  }

  #used(): number {
    let used = 0
    for (const { data } of new Set(this.#names.values())) used += data.length
    return used
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
    const isFailing = this.steps >= this.failAt && this.steps < this.failAt + this.failCount
    if (!isFailing && this.steps < this.crashAt) return
    onFailure()
    this.#isDead = this.steps >= this.crashAt
    throw failure(this.#isDead ? 'EIO' : this.failCode)
  }
}

function write(inode: Inode, bytes: Uint8Array, position: number): void {
  const copy = Buffer.from(bytes)
  inode.data = overwrite(inode.data, copy, position)
  inode.changes.push({ type: 'write', position, bytes: copy })
}

function truncate(inode: Inode, length: number): void {
  inode.data = resize(inode.data, length)
  inode.changes.push({ type: 'truncate', length })
}

/** What was done to the file since the last sync is on the disk for certain. */
function settle(inode: Inode): void {
  inode.synced = inode.isForgetful ? applyContentChanges(inode.synced, inode.changes) : inode.data
  inode.changes = []
}

/** The lock of a process that is gone. A test has one process only, which lives on. */
function makeStale(inode: Inode): void {
  try {
    const owner = JSON.parse(inode.data.toString()) as object
    inode.data = Buffer.from(JSON.stringify({ ...owner, bootId: 'of an earlier start' }))
  } catch {
    // Cut short by the crash: it names nobody, which is another way to be stale.
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}
