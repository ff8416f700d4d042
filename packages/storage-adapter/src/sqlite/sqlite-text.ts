/** What SQLite gave as bytes, because the `node:sqlite` of Node 22 cuts text at a NUL. */
export function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
