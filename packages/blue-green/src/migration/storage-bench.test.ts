import { MemoryStorage } from '@evenkeel/storage-adapter'
import { expect, it } from 'vitest'
import { Copies } from './copies.js'
import { StorageBench } from './storage-bench.js'

it('reads no more of the original than a small copy needs', async () => {
  const signal = new AbortController().signal
  const original = new MemoryStorage()
  for (let i = 0; i < 1_000; i++) await original.collection('guilds').set(`g${i}`, i)
  await original.collection('users').set('u', 1)
  let read = 0
  const counted = new Proxy(original, {
    get(target, name) {
      if (name !== 'collection') return (Reflect.get(target, name) as () => unknown).bind(target)
      return (of: string) => ({
        async *scan() {
          for await (const row of target.collection(of).scan()) {
            read++
            yield row
          }
        },
      })
    },
  })
  const copies = new Copies({ copy: () => new MemoryStorage() }, undefined)
  const trial = await new StorageBench(copies, counted).trial(signal, 10)
  expect([...(await trial.snapshot(signal))].map(([name, rows]) => [name, rows.size])).toEqual([
    ['guilds', 10],
    ['users', 1],
  ])
  expect(read).toBeLessThanOrEqual(12)
  const none = await new StorageBench(copies, counted).trial(signal, 0)
  expect((await none.snapshot(signal)).size).toBe(0)
  expect(read).toBeLessThanOrEqual(14)
  expect(await copies.clean()).toEqual([])
})
