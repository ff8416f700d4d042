import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, sep } from 'node:path'
import { messageOf } from '../bounded.js'
import { requireMethods } from '../checked-options.js'
import { withDeadline } from '../deadline.js'
import { systemClock } from '../system-clock.js'
import { NotIsolatedError } from './errors.js'
import { folderPrefix, leftoversIn } from './leftovers.js'
import type { ReadableStorage, WritableStorage } from './ports.js'
import { withheld } from './withheld.js'

/** How isolated copies are made. */
export interface CopyOptions<S> {
  /**
   * Makes an empty store in a folder that is empty and its own: `(folder) => new SqliteStorage({ path: join(folder, 'copy.db') })`.
   * It is called once for each copy, and what it makes is stopped and deleted with its folder; one that is found not to be isolated is
   * let be.
   */
  readonly copy: (folder: string) => S
  /** Where the original lies, if it is a file or folder: refuses copies that lead there, by symbolic or hard links. */
  readonly sourcePath?: string | undefined
  /**
   * Where the folders are made. What a process that was killed left here is removed by the next run.
   *
   * @defaultValue that of the system for temporary files
   */
  readonly folder?: string | undefined
  /**
   * Removes what a copy has outside of its folder, such as a schema of the folder's name: `(at) => dropSchema(basename(at))`. It is
   * called once for each copy, after that was stopped, and for those that a killed process left; what it names may be gone already.
   * It needs a `folder` that belongs to this store alone.
   */
  readonly remove?: ((folder: string) => unknown) | undefined
}

/** How long each part of the clean-up may take; what takes longer is reported. */
const cleanUpMs = 10_000

/** Where a probe is written, for a moment, to see whether it turns up in the original. */
const probes = 'evenkeel-probes'

/** Makes copies that are isolated from the original, and removes all of them: those, and nothing else. */
export class Copies<S extends WritableStorage> {
  /** Folders of killed processes that were removed. */
  readonly leftovers: string[] = []
  readonly #options: CopyOptions<S>
  readonly #source: ReadableStorage | undefined
  readonly #tellable: (error: unknown) => unknown
  readonly #made = new Map<S, string>()
  /** Folders that a copy was made in, until they are removed. */
  readonly #folders = new Set<string>()
  /** What could not be removed, by what is told of it. */
  readonly #left = new Map<string, Error>()
  #root: Promise<string> | undefined
  /** Copies that are being made, by steps that nobody may be waiting for any more. */
  readonly #pending = new Set<Promise<unknown>>()
  /** Whether two copies were found to be two. */
  #areApart = false
  #isClosed = false

  /** @param tellable - what may be told of an error of a copy, where that may have data in its message */
  constructor(
    options: CopyOptions<S>,
    source: ReadableStorage | undefined,
    tellable: (error: unknown) => unknown = (error) => error,
  ) {
    requireMethods('copy', options, ['copy'])
    for (const name of ['sourcePath', 'folder'] as const) {
      const path = options[name]
      if (path === undefined || (typeof path === 'string' && path !== '')) continue
      throw new TypeError(`${name} must be a path, not ${JSON.stringify(path)}`)
    }
    if (options.remove !== undefined) {
      requireMethods('remove', options, ['remove'])
      if (options.folder === undefined) throw new TypeError('remove needs a folder that belongs to this store alone')
    }
    this.#options = options
    this.#source = source
    this.#tellable = tellable
  }

  /** @throws {@link NotIsolatedError} before anything but a probe was written */
  async open(): Promise<S> {
    if (this.#isClosed) throw new Error('the copies are being removed')
    const opening = this.#open()
    const settled = opening.catch(() => undefined).finally(() => this.#pending.delete(settled))
    this.#pending.add(settled)
    return opening
  }

  async #open(): Promise<S> {
    const copy = await this.#make()
    if (this.#areApart) return copy
    // A `copy` that ignores its folder gives one store each time: it must be known before that one is filled.
    const other = await this.#make()
    await this.#letBeUnlessApart([copy, other], () => this.#probe(copy, other, 'another copy'))
    this.#areApart = true
    await this.close(other)
    return copy
  }

  async #make(): Promise<S> {
    this.#root ??= this.#makeRoot()
    // Of letters and digits, and found nowhere else: a schema can have its name.
    const folder = join(await this.#root, `copy_${randomUUID().replaceAll('-', '')}`)
    await mkdir(folder)
    this.#folders.add(folder)
    const copy = this.#options.copy(folder)
    const source = this.#source
    if ((copy as unknown) === source) throw new NotIsolatedError('it is the source itself')
    await this.#letBeUnlessApart([copy], async () => {
      if (this.#made.has(copy)) throw new NotIsolatedError('the same store was made twice')
      requireMethods('the copy', copy, ['collection', 'collections', 'batch'])
      const held = await copy.collections()
      if (held.length > 0) throw new NotIsolatedError(`it already holds ${held.slice(0, 3).join(', ')}`)
      this.#made.set(copy, folder)
      await this.#compareFiles(folder)
      if (source !== undefined) await this.#probe(copy, source, 'the source')
    })
    return copy
  }

  /** What is not isolated is not stopped in the end: it is somebody else's, who may be using it. */
  async #letBeUnlessApart(copies: readonly S[], look: () => Promise<void>): Promise<void> {
    try {
      await look()
    } catch (error) {
      if (error instanceof NotIsolatedError) for (const copy of copies) this.#made.delete(copy)
      throw error
    }
  }

  /** Stops and removes a copy that is needed no more. Never rejects: {@link Copies.clean} tells what is left. */
  async close(copy: S): Promise<void> {
    const folder = this.#made.get(copy)
    if (folder === undefined) return
    await this.#stop(copy)
    await this.#removeFolder(folder)
  }

  async #stop(copy: S): Promise<void> {
    this.#made.delete(copy)
    await this.#end('a copy could not be stopped', async () => copy.stop?.())
  }

  /** Stops and removes everything. @returns what could not be removed, with the reason as `cause` */
  async clean(): Promise<readonly Error[]> {
    this.#isClosed = true
    await this.#end('a copy was still being made', () => Promise.all(this.#pending))
    // All at once: each waits for its deadline at most, and so does the whole.
    await Promise.all([...this.#made.keys()].map((copy) => this.#stop(copy)))
    await Promise.all([...this.#folders].map((folder) => this.#removeFolder(folder)))
    const root = await this.#root?.catch(() => undefined)
    // What could not be removed of a copy is tried again by the next run, which finds it by its folder.
    if (root !== undefined && this.#folders.size === 0)
      await this.#end(`${root} could not be removed`, () => wipe(root))
    return [...this.#left.values()]
  }

  async #removeFolder(folder: string): Promise<void> {
    const isRemoved = await this.#end(`${folder} could not be removed`, async () => {
      await this.#options.remove?.(folder)
      await wipe(folder)
    })
    if (isRemoved) this.#folders.delete(folder)
  }

  async #end(what: string, run: () => Promise<unknown>): Promise<boolean> {
    const late = (): Error => new Error(`no answer within ${cleanUpMs} ms`)
    try {
      await withDeadline(run, cleanUpMs, systemClock, late)
      return true
    } catch (error) {
      const left = `${what}: ${messageOf(this.#tellable(error))}`
      this.#left.set(left, new Error(left, { cause: error }))
      return false
    }
  }

  async #makeRoot(): Promise<string> {
    const { folder = tmpdir(), sourcePath } = this.#options
    await Promise.all((await leftoversIn(folder)).map((leftover) => this.#removeLeftover(leftover)))
    const root = await mkdtemp(join(folder, await folderPrefix()))
    try {
      const [inside, source] = [await realpath(root), sourcePath && (await realpath(sourcePath))]
      if (source && (inside + sep).startsWith(source + sep)) throw new NotIsolatedError('its folder lies in the source')
    } catch (error) {
      await wipe(root)
      throw error
    }
    return root
  }

  async #removeLeftover(leftover: string): Promise<void> {
    const isRemoved = await this.#end(`${leftover} of a killed process could not be removed`, async () => {
      for (const name of await readdir(leftover)) await this.#options.remove?.(join(leftover, name))
      await wipe(leftover)
    })
    if (isRemoved) this.leftovers.push(leftover)
  }

  /** By device and inode, which neither a symbolic nor a hard link can hide. */
  async #compareFiles(folder: string): Promise<void> {
    const { sourcePath } = this.#options
    if (sourcePath === undefined) return
    const originals = new Set([...(await identities(sourcePath)).keys(), ...(await sidecars(sourcePath))])
    for (const [identity, path] of await identities(folder)) {
      if (originals.has(identity)) throw new NotIsolatedError(`${path} is a file of the source`)
    }
  }

  /** Whether what is written to the copy is seen elsewhere. */
  async #probe(copy: S, elsewhere: ReadableStorage, where: string): Promise<void> {
    const key = randomUUID()
    const probe = copy.collection(probes)
    try {
      await probe.set(key, true)
      const seen = await elsewhere
        .collection(probes)
        .get(key)
        .catch((error: unknown) => {
          throw elsewhere === this.#source ? withheld(error) : error
        })
      if (seen !== undefined) throw new NotIsolatedError(`what is written to it is seen in ${where}`)
    } finally {
      await probe.delete(key)
    }
  }
}

async function wipe(path: string): Promise<void> {
  // A file that was just closed may be held for a moment by a scanner, as on Windows.
  await rm(path, { recursive: true, force: true, maxRetries: 3 })
}

/** Device and inode of a file, and of all below a folder. What is deleted meanwhile, as journals are, is none. */
async function identities(path: string): Promise<Map<string, string>> {
  const what = await stat(path).catch(ifGone)
  if (what === undefined) return new Map()
  const found = new Map([[`${what.dev}:${what.ino}`, path]])
  if (!what.isDirectory()) return found
  for (const name of await readdir(path)) {
    for (const [identity, inner] of await identities(join(path, name))) found.set(identity, inner)
  }
  return found
}

function ifGone(error: unknown): undefined {
  if ((Object(error) as { code?: unknown }).code !== 'ENOENT') throw error
}

/** A database has files beside it, of its name and more, such as `-wal`. */
async function sidecars(path: string): Promise<string[]> {
  const name = path.slice(dirname(path).length).replace(/^[/\\]/, '')
  const beside = (await readdir(dirname(path))).filter((other) => name !== '' && other.startsWith(`${name}-`))
  const found = await Promise.all(beside.map((other) => identities(join(dirname(path), other))))
  return found.flatMap((each) => [...each.keys()])
}
