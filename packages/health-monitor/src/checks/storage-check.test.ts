import { expect, it } from 'vitest'
import { type CheckableStorage, storageCheck } from './storage-check.js'

const { signal } = new AbortController()

it('says what the storage says, and passes the signal on', async () => {
  let passed: AbortSignal | undefined
  const storage: CheckableStorage = {
    health: async (options) => {
      passed = options?.signal
      return { status: 'degraded', reason: 'running on the local copy' }
    },
  }
  expect(await storageCheck(storage)(signal)).toEqual({ status: 'degraded', reason: 'running on the local copy' })
  expect(passed).toBe(signal)
})

it('calls the method on its storage', async () => {
  class Storage {
    readonly #reason = 'fine'
    async health(): Promise<{ status: 'up'; reason: string }> {
      return { status: 'up', reason: this.#reason }
    }
  }
  expect(await storageCheck(new Storage())(signal)).toEqual({ status: 'up', reason: 'fine' })
})

it('lets the rejection of a storage that cannot be reached through', async () => {
  const check = storageCheck({ health: () => Promise.reject(new Error('connection refused')) })
  await expect(check(signal)).rejects.toThrow('connection refused')
})

it.each([undefined, null, {}, { health: 'up' }])('refuses %o', (storage) => {
  expect(() => storageCheck(storage as never)).toThrow(TypeError)
})
