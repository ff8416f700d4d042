/** What no version should throw or answer, and some do. */
const odd = {
  'throw-hostile': () => {
    throw new Proxy(new Error('hidden'), {
      get: () => {
        throw new Error('nobody reads me')
      },
    })
  },
  'throw-much': () => {
    throw new RangeError('x'.repeat(5_000_000))
  },
  'throw-endless': () => {
    throw Object.assign(new Error('come back never'), { code: NaN, retryAfterMs: Infinity })
  },
  deep: () => nested(50_000),
  proxy: () => ({ member: new Proxy({ name: 'ann' }, {}) }),
  /** Plain when it is looked at, and not any more when it is sent. */
  fickle: () => {
    let reads = 0
    return {
      get member() {
        return reads++ === 0 ? 'plain' : () => undefined
      },
    }
  },
} satisfies Record<string, () => unknown>

/** One of these. */
export type Odd = keyof typeof odd

/** Whether a version is to be one of these. */
export function isOdd(does: string | undefined): does is Odd {
  return does !== undefined && Object.hasOwn(odd, does)
}

/** Throws or answers so. */
export function beOdd(does: Odd): unknown {
  return odd[does]()
}

/** A value in a value in a value. */
export function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = { inner: value }
  return value
}
