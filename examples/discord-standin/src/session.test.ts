import { GatewayDispatchEvents } from 'discord-api-types/v10'
import { describe, expect, it } from 'vitest'
import { Session } from './session.js'

describe('Session', () => {
  it('keeps the last ten thousand dispatches at least, and knows what it cannot replay', () => {
    const session = new Session([0, 1], 1)
    for (let seq = 1; seq <= 50_000; seq++) {
      session.append(GatewayDispatchEvents.InteractionCreate, '{}')
      if (!session.canReplayAfter(Math.max(0, seq - 10_000))) expect.fail(`too little is kept at ${seq}`)
    }
    expect(session.seq).toBe(50_000)
    expect(session.after(40_000).map(({ seq }) => seq)).toEqual(Array.from({ length: 10_000 }, (_, i) => 40_001 + i))
    expect(session.canReplayAfter(29_000)).toBe(false)
    expect(session.after(50_000)).toEqual([])
  })
})
