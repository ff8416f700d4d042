const encoder = new TextEncoder()

// The multipliers and shifts are those of the reference implementation.
const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/**
 * MurmurHash3 x86_32 with seed 0 over the UTF-8 bytes of a text, as a signed 32-bit integer: an unsigned one would be
 * boxed above 2^31 and make every evaluation allocate.
 *
 * Ids are ASCII in practice, where a UTF-8 byte is a UTF-16 unit, so nothing is encoded until a text proves otherwise.
 * A lone surrogate counts as U+FFFD, as in every encoder of the WHATWG.
 *
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */
export function murmur3(text: string): number {
  const { length } = text
  const body = length & ~3
  let hash = 0
  let seen = 0
  for (let i = 0; i < body; i += 4) {
    const a = text.charCodeAt(i)
    const b = text.charCodeAt(i + 1)
    const c = text.charCodeAt(i + 2)
    const d = text.charCodeAt(i + 3)
    seen |= a | b | c | d
    hash = mixBlock(hash, a | (b << 8) | (c << 16) | (d << 24))
  }
  let tail = 0
  for (let i = length - 1; i >= body; i--) {
    const unit = text.charCodeAt(i)
    seen |= unit
    tail = (tail << 8) | unit
  }
  if (seen > 0x7f) return murmur3Bytes(encoder.encode(text))
  return fmix32(hash ^ scramble(tail) ^ length)
}

function murmur3Bytes(bytes: Uint8Array): number {
  const body = bytes.length & ~3
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let hash = 0
  for (let i = 0; i < body; i += 4) hash = mixBlock(hash, view.getInt32(i, true))
  let tail = 0
  for (let i = bytes.length - 1; i >= body; i--) tail = (tail << 8) | view.getUint8(i)
  return fmix32(hash ^ scramble(tail) ^ bytes.length)
}

/** The finaliser: each bit of the input moves each bit of the result with a chance of about one half. */
export function fmix32(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function mixBlock(hash: number, block: number): number {
  const h = hash ^ scramble(block)
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}

function scramble(block: number): number {
  const k = Math.imul(block, C1)
  return Math.imul((k << 15) | (k >>> 17), C2)
}
