import { packAll } from './pack.js'
import { faultsOf, inParallel, tool } from './shell.js'

/** Lints every tarball: publint for the manifest, attw (are the types wrong) for each kind of module resolution. */
export async function checkPacked(): Promise<string[]> {
  const faults = await inParallel(2, await packAll(), async ({ folder, tarball }) => {
    const publint = await tool('publint', ['--strict', tarball])
    const attw = await tool('attw', ['--no-emoji', '--format', 'ascii', tarball])
    return [...faultsOf(publint), ...faultsOf(attw)].map((fault) => `${folder}: ${fault}`)
  })
  return faults.flat()
}
