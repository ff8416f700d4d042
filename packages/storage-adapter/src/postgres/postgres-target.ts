import type { PostgresStorageOptions } from '../postgres.js'

/** What of an address says how to encrypt, and is overruled by the option `tls`. */
const TLS_PARAMETERS = ['ssl', 'sslmode', 'sslcert', 'sslkey', 'sslrootcert', 'sslnegotiation', 'uselibpqcompat']

/** A server to connect to, and what must never be said of it. */
export interface PostgresTarget {
  /** Where it is, without who connects: for messages. */
  readonly place: string
  /** What the package pg is given. */
  readonly config: Readonly<Record<string, unknown>>
  /** Gives the password of each new connection, if it is not part of the address. */
  readonly password: (() => Promise<string>) | undefined
  /** Takes the passwords out of a text. */
  readonly hide: (text: string) => string
}

/**
 * Reads an address. No message repeats it, as it may hold a password.
 *
 * @throws TypeError when it is none of PostgreSQL
 */
export function toTarget(
  url: string,
  { tls, password }: Pick<PostgresStorageOptions, 'tls' | 'password'>,
): PostgresTarget {
  const address = parse(url)
  const secrets = new Set<string>()
  for (const secret of [address.password, address.searchParams.get('password')]) {
    if (secret === null || secret === '') continue
    secrets.add(secret).add(decode(secret))
  }
  const { config, place } = describe(url, address, tls)
  return { place, config, password: toFunction(password, secrets), hide: (text) => hideAll(text, secrets) }
}

/** What is said of a pool that was handed in: nothing is known of it. */
export function targetOfPool(): PostgresTarget {
  return { place: 'PostgreSQL', config: {}, password: undefined, hide: (text) => text }
}

function parse(url: string): URL {
  // An address with a user but without a host means a socket; the standard for addresses has no such thing.
  const withHost = url.replace('@/', '@localhost/')
  const isOurs = /^postgres(ql)?:/i.test(url)
  const address = isOurs && URL.canParse(withHost) ? new URL(withHost) : undefined
  // A password that holds a slash, unencoded, would end up in the path, and so in messages.
  if (address !== undefined && !address.pathname.includes('@')) return address
  throw new TypeError(
    'url must be like postgres://user:password@host:5432/database; percent-encode special characters in the password',
  )
}

function describe(url: string, address: URL, tls: unknown): Pick<PostgresTarget, 'config' | 'place'> {
  const { hostname, port, pathname, searchParams } = address
  const host = searchParams.get('host') ?? (hostname === '' ? 'localhost' : decode(hostname))
  const place = `PostgreSQL at ${host}:${port === '' ? 5432 : port}${decode(pathname)}`
  if (tls === undefined) return { place, config: { connectionString: url } }
  for (const name of TLS_PARAMETERS) searchParams.delete(name)
  const [bare = ''] = url.split('?')
  const query = searchParams.size === 0 ? '' : `?${searchParams.toString()}`
  return { place, config: { connectionString: bare + query, ssl: tls } }
}

function toFunction(
  password: PostgresStorageOptions['password'],
  secrets: Set<string>,
): (() => Promise<string>) | undefined {
  if (password === undefined) return undefined
  return async () => {
    const secret = typeof password === 'function' ? await password() : password
    if (secret !== '') secrets.add(secret)
    return secret
  }
}

function hideAll(text: string, secrets: ReadonlySet<string>): string {
  let hidden = text
  for (const secret of secrets) hidden = hidden.replaceAll(secret, '***')
  return hidden
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
