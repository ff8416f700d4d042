/** What stands in the place of a secret. */
const MASK = '[secret]'

/** A shorter one would blank ordinary words. */
const MIN_SECRET_LENGTH = 6

/** Takes secrets out of a text. */
export type Redact = (text: string) => string

/**
 * Takes the given secrets out of any text, as they are and as they look in an address or in Base64.
 *
 * @param secrets - passwords, tokens, addresses with tokens in them; those of fewer than 6 characters are left alone
 */
export function redactor(secrets: readonly string[]): Redact {
  const known = new Set<string>()
  for (const secret of secrets)
    for (const form of formsOf(secret)) if (form.length >= MIN_SECRET_LENGTH) known.add(form)
  // The longest first: an address is taken out whole before its token is.
  const forms = [...known].sort((one, other) => other.length - one.length)
  return (text) => {
    let clean = text
    for (const form of forms) if (clean.includes(form)) clean = clean.replaceAll(form, MASK)
    return clean
  }
}

/** The parts of an address that give access: whatever follows its host, each part of it, and a password. */
export function secretsOfUrl(url: URL): string[] {
  const { href, pathname, search, username, password } = url
  const steps = pathname.split('/').filter((step) => step.length >= MIN_TOKEN_LENGTH)
  const place = `${pathname}${search}`
  const token = place.length >= MIN_TOKEN_LENGTH ? [href, place, pathname, ...steps] : []
  return [...token, ...url.searchParams.values(), username, password]
}

/** Shorter steps of an address are words, such as `webhooks`. */
const MIN_TOKEN_LENGTH = 12

function formsOf(secret: string): string[] {
  const forms = [secret, encodeURIComponent(toWellFormed(secret)), JSON.stringify(secret).slice(1, -1)]
  try {
    forms.push(decodeURIComponent(secret))
  } catch {
    // It was not encoded.
  }
  return [...forms, Buffer.from(secret).toString('base64')]
}

/** Half a surrogate pair cannot be encoded. */
function toWellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}
