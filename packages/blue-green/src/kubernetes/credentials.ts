import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where a pod finds who it is. */
export const serviceAccountPath = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Who asks, and whom to trust. */
export interface Credentials {
  readonly token: string | undefined
  readonly ca: string | undefined
}

/**
 * Reads what the cluster has put into the pod. Read for each request, for the token is replaced while the pod runs, and the
 * certificates may be.
 *
 * @see https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
 */
export async function readServiceAccount(folder: string): Promise<Credentials> {
  const [token, ca] = await Promise.all([read(join(folder, 'token')), read(join(folder, 'ca.crt'))])
  return { token: checkToken(token), ca }
}

/** The namespace of the pod. */
export function readNamespace(folder: string): Promise<string> {
  return read(join(folder, 'namespace'))
}

/** @throws TypeError, which does not show it */
export function checkToken(token: unknown): string {
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token
  throw new TypeError('the token of the Kubernetes API must be visible ASCII characters without spaces')
}

async function read(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim()
}
