import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const pirate: Readonly<Record<string, string>> = {
  hello: 'ahoy',
  hi: 'ahoy',
  my: 'me',
  friend: 'matey',
  friends: 'hearties',
  yes: 'aye',
  you: 'ye',
  your: 'yer',
  is: 'be',
  are: 'be',
  money: 'doubloons',
  treasure: 'booty',
  the: "th'",
}

/** A small translation service on a loopback port, so that the sample bot depends on something that can be slow. */
export interface TranslationService {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Starts the service. Like many an external service it works on a few requests at a time and lets the others wait.
 *
 * @param workMs - how long one translation takes
 * @param maxConcurrent - how many are worked on at once
 */
export async function startTranslationService({ workMs = 20, maxConcurrent = 2 } = {}): Promise<TranslationService> {
  let free = maxConcurrent
  const waiting: (() => void)[] = []

  async function work(text: string): Promise<string> {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    else free--
    try {
      await sleep(workMs)
      return text.replace(/\p{L}+/gu, (word) => {
        const known = word.toLowerCase()
        return Object.hasOwn(pirate, known) ? (pirate[known] ?? word) : word
      })
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }

  const server = createServer((request, response) => {
    const text = new URL(request.url ?? '/', 'http://localhost').searchParams.get('text')
    if (text === null) {
      response.end('ok')
      return
    }
    void work(text).then((translated) => response.end(translated))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
