import { crc32 } from 'node:zlib'

/** The newest format of the spool that this version reads and writes. */
export const FORMAT_VERSION = 1

/** What the spool begins with. */
export const HEADER: { readonly format: 'evenkeel-alerts'; readonly formatVersion: number } = {
  format: 'evenkeel-alerts',
  formatVersion: FORMAT_VERSION,
}

/*
 * Every line is a JSON object on its own and begins with the checksum of the rest of it:
 *   {"crc32":"9d1f36e0","type":"settled","channel":"ops","delivered":["…"]}
 */
const PREFIX = '{"crc32":"'
const BODY_AT = PREFIX.length + 8 + 2
const NEWLINE = 0x0a

/** What a spool was found to hold. */
export interface SpoolContent {
  /** What the lines say, in order; the first is the header. */
  readonly bodies: readonly object[]
  /** Lines that are not what was written. */
  readonly damaged: readonly Buffer[]
  /** The end of a line that a crash cut short, which nobody was promised. */
  readonly torn: Buffer
}

/** One line. */
export function encodeLine(body: object): Buffer {
  const line = Buffer.from(`${PREFIX}00000000",${JSON.stringify(body).slice(1)}\n`)
  line.write(checksum(line.subarray(BODY_AT, -1)), PREFIX.length, 'latin1')
  return line
}

/** Reads all lines; damage is told, never skipped in silence. */
export function decodeLines(bytes: Buffer): SpoolContent {
  const bodies: object[] = []
  const damaged: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    const line = bytes.subarray(start, end)
    const body = decodeLine(line)
    if (body === undefined) damaged.push(bytes.subarray(start, end + 1))
    else bodies.push(body)
    start = end + 1
  }
  return { bodies, damaged, torn: bytes.subarray(start) }
}

function decodeLine(line: Buffer): object | undefined {
  if (line.toString('latin1', 0, BODY_AT) !== `${PREFIX}${checksum(line.subarray(BODY_AT))}",`) return undefined
  try {
    const body: unknown = JSON.parse(`{${line.toString('utf8', BODY_AT)}`)
    return typeof body === 'object' && body !== null ? body : undefined
  } catch {
    return undefined
  }
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0')
}
