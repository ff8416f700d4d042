import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

// The name of a folder says who made it, so that there is no moment at which it does not: machine, process, and when that process
// began, since numbers of processes are used again, and in a container the first one always has the same.

const name = /^evenkeel-rehearsal-([0-9a-f]{8})-(\d+)-(\d+)-/

/** What the name of a folder of this process begins with. */
export async function folderPrefix(): Promise<string> {
  return `evenkeel-rehearsal-${await machine()}-${process.pid}-${await beganAt(process.pid)}-`
}

/** Folders below `parent` whose process is dead. Those of other machines and users are let be: nobody here knows. */
export async function leftoversIn(parent: string): Promise<string[]> {
  const found: string[] = []
  const here = await machine()
  for (const each of await readdir(parent)) {
    const [, where, pid, began] = name.exec(each) ?? []
    if (where !== here || pid === undefined || began === undefined) continue
    const path = join(parent, each)
    const what = await lstat(path).catch(() => undefined)
    // Who may write here may have put a link, or a folder of theirs, in the place of one of ours.
    if (what?.isDirectory() !== true || what.uid !== (process.getuid?.() ?? what.uid)) continue
    if (!(await isAlive(Number(pid), began))) found.push(path)
  }
  return found
}

async function isAlive(pid: number, began: string): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // Any other refusal comes from a process that is there.
    if ((Object(error) as { code?: unknown }).code === 'ESRCH') return false
  }
  const now = await beganAt(pid)
  return now === unknown || began === unknown || now === began
}

const unknown = '0'

/** In ticks since the machine was started, where it can be found out (Linux). @see proc(5), field 22 of `stat` */
async function beganAt(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The second field is a name, which may have spaces and parentheses in it.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? unknown
}

/**
 * Where the number of a process means that process. Two containers of one pod have the same name of a host, and each its own numbers.
 *
 * @see pid_namespaces(7)
 */
async function machine(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '')
  return createHash('sha256').update(`${hostname()}\n${namespace}`).digest('hex').slice(0, 8)
}
