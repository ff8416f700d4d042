import { createHmac } from 'node:crypto'

// Snowflakes keep their order without anybody knowing all of them: time is cut into blocks of 2^31 ms (24.9 days), and each block is
// mapped onto itself by a keyed, increasing function. A pseudonym so tells within which 25 days something was made, which keeps data
// realistic, and not the millisecond, which would name it. It works like order-preserving encryption by lazy sampling: both the range
// of times and that of pseudonyms are halved again and again, the former in the middle, the latter where HMAC says.
// @see A. Boldyreva et al., Order-Preserving Symmetric Encryption, EUROCRYPT 2009

/** Bits of a time within its block. */
const blockBits = 31
const lowBits = 22
/** Each ms keeps at least 2^11 pseudonyms, for as many ids; the rest is room to move. */
const minPerMs = 2n ** 11n

/** Letters that no text of four or more consists of, so that no pseudonym says by chance what an original said. */
const pools = {
  lower: 'zqxjvkw',
  upper: 'ZQXJVKW',
  // By how many bytes of UTF-8 they take, so that keys and texts remain as long.
  two: 'ѯѱѳѵѻѽѿҁ',
  three: 'ꙁꙃꙅꙇꙉꙋꙍꙏ',
  four: ['𐔀', '𐔁', '𐔂', '𐔃', '𐔄', '𐔅', '𐔆', '𐔇'],
}

/**
 * What says something: letters and digits, and signs that stand for them or for things, such as circled letters, the halves of a flag, the
 * letters of a flag that are no visible ones (tags), skin colours, and what a font of somebody's own shows.
 */
const saying =
  /[\p{L}\p{N}\p{M}\p{So}\p{Co}\p{Cn}\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u{E0020}-\u{E007F}]/u

/** Other names for ids and texts. The same original has the same pseudonym everywhere, and nobody finds it without the key. */
export class Pseudonyms {
  readonly #key: Buffer
  readonly #ids = new Map<string, string>()
  readonly #texts = new Map<string, string>()
  readonly #numbers = new Map<string, string>()
  readonly #taken = new Set<string>()
  /** The halving of the upper levels, which many ids share. */
  readonly #draws = new Map<string, Buffer>()

  constructor(key: string | Uint8Array) {
    this.#key = Buffer.from(key as string)
  }

  /** The ids that were given a pseudonym. */
  get ids(): Iterable<string> {
    return this.#ids.keys()
  }

  /** The digits of other ids that were. */
  get numbers(): Iterable<string> {
    return this.#numbers.keys()
  }

  /** Whether it is a pseudonym. */
  isGiven(pseudonym: string): boolean {
    return this.#taken.has(pseudonym)
  }

  /** The texts that were. */
  get texts(): Iterable<string> {
    return this.#texts.keys()
  }

  /** A snowflake for a snowflake: made in the same 25 days, and in the same order by time. */
  id(original: string): string {
    return this.#known(this.#ids, original, () => {
      const bits = BigInt(original)
      const ms = bits >> BigInt(lowBits)
      const [block, offset] = [ms >> BigInt(blockBits), Number(ms & (2n ** BigInt(blockBits) - 1n))]
      const { low, size } = this.#descend(block, offset)
      const place = this.#draw(`id ${original}`).readBigUInt64BE() % size
      const first = (block << BigInt(blockBits + lowBits)) + low
      // Two ids of one ms may meet; the next place is theirs.
      for (let i = 0n; i < size; i++) {
        const pseudonym = String(first + ((place + i) % size))
        if (pseudonym !== original && !this.#taken.has(pseudonym)) return pseudonym
      }
      throw new RangeError(`More than ${size} ids are of the same millisecond, which snowflakes never are`)
    })
  }

  /** A text for a text: as long, with capitals, spaces and punctuation where they were. Of these alone it says nothing. */
  text(original: string): string {
    if (!saying.test(original)) return original
    return this.#known(this.#texts, original, () => {
      const drawn = this.#stream(`text ${original}`)
      let pseudonym = ''
      for (const sign of original) pseudonym += another(sign, drawn())
      while (pseudonym === original || this.#taken.has(pseudonym)) pseudonym += from(pools.lower, drawn())
      return pseudonym
    })
  }

  /** Digits for digits: as many, and no zero in front. For ids that are no snowflakes. */
  digits(original: string): string {
    return this.#known(this.#numbers, original, () => {
      for (let attempt = 0; attempt < 1_000; attempt++) {
        const drawn = this.#stream(`digits ${attempt} ${original}`)
        const digit = (_: string, at: number): string => String(at === 0 ? 1 + (drawn() % 9) : drawn() % 10)
        const pseudonym = [...original].map(digit).join('')
        if (pseudonym !== original && !this.#taken.has(pseudonym)) return pseudonym
      }
      throw new RangeError(`There are hardly any other ids of ${original.length} digits left`)
    })
  }

  /** A short name for the key of a row, which says nothing of it. */
  label(key: string): string {
    return `#${this.#draw(`label ${key}`).toString('hex', 0, 4)}`
  }

  #known(map: Map<string, string>, original: string, make: () => string): string {
    const known = map.get(original)
    if (known !== undefined) return known
    const pseudonym = make()
    map.set(original, pseudonym)
    this.#taken.add(pseudonym)
    return pseudonym
  }

  /** Where the pseudonyms of one ms lie within those of its block. */
  #descend(block: bigint, offset: number): { low: bigint; size: bigint } {
    let [low, size] = [0n, 2n ** BigInt(blockBits + lowBits)]
    for (let bit = blockBits - 1; bit >= 0; bit--) {
      // Those of the lower half of the times: no fewer than these need, and as many are left for the upper.
      const least = minPerMs << BigInt(bit)
      const draw = this.#draw(`node ${block} ${bit} ${Math.floor(offset / 2 ** (bit + 1))}`)
      const lower = least + (draw.readBigUInt64BE() % (size - 2n * least + 1n))
      if (Math.floor(offset / 2 ** bit) % 2 === 0) size = lower
      else [low, size] = [low + lower, size - lower]
    }
    return { low, size }
  }

  #draw(what: string): Buffer {
    const isShared = what.startsWith('node')
    const known = isShared ? this.#draws.get(what) : undefined
    if (known !== undefined) return known
    const drawn = createHmac('sha256', this.#key).update(what).digest()
    if (isShared && this.#draws.size < 100_000) this.#draws.set(what, drawn)
    return drawn
  }

  /** As many numbers from 0 to 255 as are asked for. */
  #stream(what: string): () => number {
    let [bytes, at, round]: [Buffer, number, number] = [Buffer.alloc(0), 0, 0]
    return () => {
      if (at === bytes.length) [bytes, at] = [this.#draw(`${what} ${round++}`), 0]
      return bytes[at++] ?? 0
    }
  }
}

function another(sign: string, drawn: number): string {
  if (!saying.test(sign)) return sign
  const code = sign.codePointAt(0) ?? 0
  if (code < 0x80) return from(/[A-Z]/.test(sign) ? pools.upper : pools.lower, drawn)
  return from(code < 0x800 ? pools.two : code < 0x10000 ? pools.three : pools.four, drawn)
}

function from(pool: string | readonly string[], drawn: number): string {
  return pool[drawn % pool.length] ?? ''
}
