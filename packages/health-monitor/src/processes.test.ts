import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const packageFolder = fileURLToPath(new URL('..', import.meta.url))

/** Runs a module in a process of its own, and acts on its output line by line. */
function runModule(code: string, onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => {}) {
  const args = ['--import', 'tsx', '--conditions=@evenkeel/source', '--input-type=module', '--eval', code]
  const child = spawn(process.execPath, args, { cwd: packageFolder, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  let errors = ''
  let rest = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      lines.push(line)
      onLine(line, (signal) => child.kill(signal))
    }
  })
  return new Promise<{ code: number | null; signal: string | null; lines: string[]; errors: string }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, lines, errors }))
  })
}

describe('a process', () => {
  it('ends by itself while a monitor is idle', async () => {
    const end = await runModule(`
      import { HealthMonitor } from '@evenkeel/health-monitor'
      const health = new HealthMonitor({ checks: { db: { check: () => true }, api: { check: () => new Promise(() => {}) } } })
      await health.start()
      console.log(health.components.size)
    `)
    expect(end).toEqual({ code: 0, signal: null, lines: ['2'], errors: '' })
  })

  it('gets its answer about a check that hangs, with nothing else to keep the process alive', async () => {
    const end = await runModule(`
      import { HealthMonitor } from '@evenkeel/health-monitor'
      const health = new HealthMonitor({ checks: { db: { check: () => new Promise(() => {}), timeoutMs: 100 } } })
      console.log((await health.checkNow()).get('db').status)
    `)
    expect(end).toEqual({ code: 0, signal: null, lines: ['down'], errors: '' })
  })

  it('ends by itself once nobody waits for a watch any more', async () => {
    const end = await runModule(`
      import { HealthMonitor } from '@evenkeel/health-monitor'
      const health = new HealthMonitor({ checks: { db: { check: () => true } } })
      await health.start()
      await health.checkNow()
      for await (const { status, isLast } of health.watch({ everyMs: 10, forMs: 20 })) if (isLast) console.log(status)
      for await (const { status } of health.watch()) if (status === 'up') break
    `)
    expect(end).toEqual({ code: 0, signal: null, lines: ['up'], errors: '' })
  })

  it.each([
    // Three turns of 100 ms are the 0.3 s that are promised; a busy machine makes turns longer, but no more of them.
    ['turns only every 100 ms', 100, 3],
    ['stands still for 1 s', 1_000, 1],
  ])('hears of its event loop that %s at the first chance', async (_what, blockMs, withinTurns) => {
    const end = await runModule(`
      import { HealthMonitor } from '@evenkeel/health-monitor'
      import { setTimeout as sleep } from 'node:timers/promises'
      const health = new HealthMonitor({ checks: {} })
      await health.start()
      await sleep(500)
      let turns = 0
      let isNews = false
      health.on('blocked', ({ to }) => {
        isNews = true
        console.log(to, turns)
      })
      const turn = () => {
        turns++
        for (let end = performance.now() + ${blockMs}; performance.now() < end;);
        setImmediate(() => !isNews && setTimeout(turn))
      }
      turn()
    `)
    const [to, turns] = end.lines[0]?.split(' ') ?? []
    expect(end).toMatchObject({ code: 0, errors: '' })
    expect(to).toBe('blocked')
    expect(Number(turns)).toBeLessThanOrEqual(withinTurns)
  })

  it('does not blame a check for its own blocked event loop', async () => {
    const end = await runModule(`
      import { HealthMonitor } from '@evenkeel/health-monitor'
      import { setTimeout as sleep } from 'node:timers/promises'
      const health = new HealthMonitor({ checks: { db: { check: () => sleep(100), timeoutMs: 400 } } })
      const seen = health.check('db')
      const until = performance.now() + 1_000
      setTimeout(() => { while (performance.now() < until); }, 10)
      console.log((await seen).status)
    `)
    expect(end).toMatchObject({ code: 0, lines: ['up'], errors: '' })
  })
})

describe('a process that runs until SIGTERM', () => {
  const bot = (end: string): string => `
    import { runUntilSignal, logAll } from '@evenkeel/health-monitor/lifecycle'
    import { HealthMonitor } from '@evenkeel/health-monitor'
    const health = new HealthMonitor({ checks: { db: { check: () => true } } })
    logAll(console, health)
    const say = (line) => async () => console.log(line)
    const storage = { name: 'storage', start: say('open storage'), stop: say('close storage') }
    const bot = { name: 'bot', start: say('log in'), drain: say('drain bot'), stop: say('log out') }
    const ready = { start: say('ready') }
    const report = await runUntilSignal([storage, health, bot, ready], { timeoutMs: 2_000 })
    console.log(report.cause, report.stopped.join())
    ${end}
  `
  const story = [
    'open storage',
    'db went from unknown to up: ok.',
    'Health went from unknown to up: every component is up.',
    'log in',
    'ready',
    'drain bot',
    'log out',
    'close storage',
    'SIGTERM bot,HealthMonitor,storage',
  ]

  it('stays alive until then, ends in order, and is held by nothing afterwards', async () => {
    const end = await runModule(bot(''), (line, kill) => void (line === 'ready' && kill('SIGTERM')))
    expect(end).toMatchObject({ code: 0, signal: null, errors: '' })
    expect([...end.lines].sort()).toEqual([...story].sort())
    expect(end.lines.slice(-4)).toEqual(story.slice(-4))
  })

  it('can be killed by a signal again afterwards', async () => {
    const end = await runModule(bot('console.log("over"); setInterval(() => {}, 1_000)'), (line, kill) => {
      if (line === 'ready' || line === 'over') kill('SIGTERM')
    })
    expect(end).toMatchObject({ code: null, signal: 'SIGTERM' })
  })

  it('finishes its journal although it crashes, and ends with 1', async () => {
    const end = await runModule(`
      import { runUntilSignal } from '@evenkeel/health-monitor/lifecycle'
      const journal = { name: 'journal', stop: () => console.log('flushed') }
      const bug = { name: 'bug', start: () => setTimeout(() => { throw new Error('boom') }, 10) }
      const onNews = ({ severity, message }) => severity === 'CRITICAL' && console.log(message)
      await runUntilSignal([journal, bug], { catchCrashes: true, exit: true, onNews })
    `)
    expect(end).toEqual({ code: 1, signal: null, lines: ['Everything ends: crash: boom.', 'flushed'], errors: '' })
  })

  it('says what crashed, with its stack, although nobody listens and it ends at once', async () => {
    const end = await runModule(`
      import { runUntilSignal } from '@evenkeel/health-monitor/lifecycle'
      const bug = { name: 'bug', start: () => setTimeout(() => { throw new Error('boom') }, 10) }
      await runUntilSignal([bug], { catchCrashes: true, exit: true })
    `)
    expect(end).toMatchObject({ code: 1, lines: [] })
    expect(end.errors).toMatch(/\[EVENKEEL_CRASH\] EvenkeelWarning: Everything ends: crash: boom.\nError: boom\n +at /)
  })

  it('finishes its journal although another part hangs with nothing to keep the process alive', async () => {
    const end = await runModule(
      `
      import { runUntilSignal } from '@evenkeel/health-monitor/lifecycle'
      const journal = { name: 'journal', stop: () => console.log('flushed') }
      const hung = { name: 'hung', start: () => console.log('ready'), stop: () => new Promise(() => {}) }
      const report = await runUntilSignal([journal, hung], { timeoutMs: 400 })
      process.exitCode = report.left.length
    `,
      (line, kill) => void (line === 'ready' && kill('SIGINT')),
    )
    expect(end).toEqual({ code: 1, signal: null, lines: ['ready', 'flushed'], errors: '' })
  })
})
