import { lstat, readlink } from 'node:fs/promises'
import { dirname, join, parse, resolve, sep } from 'node:path'

/** A directory on the way to a file in which something decides where the way leads. */
export interface WatchPoint {
  /** Tells whether the directory of that path is still the same one. */
  readonly identity: string
  /** The names in it that matter: the file, or a symbolic link on the way, or what is missing. */
  readonly names: ReadonlySet<string>
}

/** As many as Linux follows. */
const MAX_LINKS = 40

/**
 * The directories to watch, by path, so that no change of what a path leads to is missed: that of the file, and that of
 * each symbolic link that the way goes through. Where the way ends early, the last directory that is there.
 */
export async function watchPoints(path: string): Promise<ReadonlyMap<string, WatchPoint>> {
  const points = new Map<string, { identity: string; names: Set<string> }>()
  let here = parse(resolve(path)).root
  let identity = await identityOf(here)
  let steps = stepsOf(path)
  const watch = (name: string): void => {
    const point = points.get(here)
    if (point?.identity === identity) point.names.add(name)
    else points.set(here, { identity, names: new Set([name]) })
  }
  for (let links = 0; ;) {
    const name = steps.shift()
    if (name === undefined) return points
    const next = join(here, name)
    const stats = await lstat(next).catch(() => undefined)
    if (stats?.isSymbolicLink() === true) {
      watch(name)
      const target = await readlink(next).catch(() => undefined)
      if (target === undefined || ++links > MAX_LINKS) return points
      const whole = resolve(here, target)
      steps = [...stepsOf(whole), ...steps]
      here = parse(whole).root
      identity = await identityOf(here)
    } else if (stats?.isDirectory() === true && steps.length > 0) {
      here = next
      identity = `${stats.dev}:${stats.ino}`
    } else {
      watch(name)
      return points
    }
  }
}

/** Whether an event of a watched directory can mean that the way leads elsewhere. Its own name is told when it goes. */
export function concerns(directory: string, names: ReadonlySet<string>, name: string | null): boolean {
  return name === null || names.has(name) || join(dirname(directory), name) === directory
}

function stepsOf(path: string): string[] {
  const whole = resolve(path)
  return whole
    .slice(parse(whole).root.length)
    .split(sep)
    .filter((step) => step !== '')
}

async function identityOf(directory: string): Promise<string> {
  const stats = await lstat(directory).catch(() => undefined)
  return stats === undefined ? '' : `${stats.dev}:${stats.ino}`
}
