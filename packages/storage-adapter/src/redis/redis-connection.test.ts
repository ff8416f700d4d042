import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import type { RedisClient } from './redis-client.js'
import { RedisConnection } from './redis-connection.js'

/** A client whose server answers when it is told to. */
class StubClient implements RedisClient {
  readonly status = 'ready'
  readonly commands: string[] = []
  readonly #waiting: ((error: Error) => void)[] = []

  async connect(): Promise<void> {}
  on(): void {}
  async subscribe(): Promise<void> {}
  disconnect(): void {}

  call(command: string): Promise<unknown> {
    this.commands.push(command)
    return new Promise((_, reject) => this.#waiting.push(reject))
  }

  /** Answers the oldest command. */
  refuse(reply: string): void {
    this.#waiting.shift()?.(Object.assign(new Error(reply), { name: 'ReplyError' }))
  }
}

describe('RedisConnection', () => {
  async function write() {
    const client = new StubClient()
    const clock = new FakeClock()
    const source = { label: 'Redis', make: async () => ({ client, secret: undefined }) }
    const connection = await RedisConnection.open({ source, clock, timeoutMs: 300, connectTimeoutMs: 300 })
    const outcome = connection.commit({ keys: [], parameters: [] }).catch((error: unknown) => error)
    return { client, clock, outcome }
  }

  it('sends a script itself when the server does not know its name', async () => {
    const { client, clock } = await write()
    client.refuse('NOSCRIPT No matching script.')
    await clock.advance(0)
    expect(client.commands).toEqual(['EVALSHA', 'EVAL'])
  })

  it('does not send a write anew that was given up: others may have written since', async () => {
    const { client, clock, outcome } = await write()
    await clock.advance(300)
    expect(await outcome).toMatchObject({ code: 'STORAGE_TIMEOUT', applied: 'unknown' })
    client.refuse('NOSCRIPT No matching script.')
    await clock.advance(0)
    expect(client.commands).toEqual(['EVALSHA'])
  })
})
