import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur3 } from './murmur3.js'

/** The algorithm once more, byte by byte and in big integers, as a second opinion. */
function reference(text: string): number {
  const mask = 0xffffffffn
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (32n - by))) & mask
  const scramble = (k: bigint): bigint => (rotate((k * 0xcc9e2d51n) & mask, 15n) * 0x1b873593n) & mask
  const bytes = Buffer.from(new TextEncoder().encode(text))
  const blocks = Math.floor(bytes.length / 4)
  let hash = 0n
  for (let i = 0; i < blocks; i++) {
    hash = (rotate(hash ^ scramble(BigInt(bytes.readUInt32LE(i * 4))), 13n) * 5n + 0xe6546b64n) & mask
  }
  let tail = 0n
  for (const byte of [...bytes.subarray(blocks * 4)].reverse()) tail = (tail << 8n) | BigInt(byte)
  hash ^= scramble(tail) ^ BigInt(bytes.length)
  hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & mask
  hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) & mask
  return Number(BigInt.asIntN(32, hash ^ (hash >> 16n)))
}

describe('murmur3', () => {
  it.each([
    ['', 0x00000000],
    ['\0', 0x514e28b7],
    ['\0\0', 0x30f4c306],
    ['\0\0\0', 0x85f0b427],
    ['\0\0\0\0', 0x2362f9de],
    ['!', 0x72661cf4],
    ['!C', 0xa0f7b07a],
    ['!Ce', 0x7e4a8634],
    ['a', 0x3c2569b2],
    ['abc', 0xb3dd93fa],
    ['abcd', 0x43ed676a],
    ['test', 0xba6bd213],
    ['hello', 0x248bfa47],
    ['hello, world', 0x149bbb7f],
    ['Hello, world!', 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
    ['é', 0x10110787],
  ])('gives %j its published hash', (text, hash) => {
    expect(murmur3(text) >>> 0).toBe(hash)
  })

  it('hashes the UTF-8 bytes of a text that is not ASCII, wherever it stops being so', () => {
    expect(murmur3('日本語テスト') >>> 0).toBe(0xb639ef59)
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => murmur3(text) === reference(text)))
    fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), (text) => murmur3(text) === reference(text)))
  })

  it('takes a lone surrogate for U+FFFD', () => {
    expect(murmur3('\ud800') >>> 0).toBe(0xb69ca6c1)
    expect(murmur3('\ud800')).toBe(murmur3('\ufffd'))
  })
})
