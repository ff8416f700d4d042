import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gaplessRestartDefaults } from '@evenkeel/blue-green/restart'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { ManagedFleet } from './children/managed-fleet.js'

/** What the guide shows is what is tested. */
it.each(['systemd/bot@.service', 'container/Dockerfile', 'container/stack.yaml'])(
  'the guide shows %s as it is',
  (path) => {
    const guide = readFileSync(new URL('../packages/blue-green/docs/process-managers.md', import.meta.url), 'utf8')
    expect(guide).toContain(fixture(path))
  },
)

it('each manager gives a process more time to end than it takes at most', () => {
  const unit = fixture('systemd/bot@.service')
  const stack = parse(fixture('container/stack.yaml')) as {
    readonly services: { readonly bot: { readonly stop_grace_period: string } }
  }
  const seconds = [
    /^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1],
    /^(\d+)s$/.exec(stack.services.bot.stop_grace_period)?.[1],
  ]
  for (const each of seconds) expect(Number(each) * 1_000).toBeGreaterThan(gaplessRestartDefaults.drainMs)
})

const run = promisify(execFile)
let fleet: ManagedFleet
const children: ChildProcess[] = []

/** Each test has a bot and a platform of its own. */
function withFleet(): void {
  beforeEach(async () => {
    fleet = new ManagedFleet()
    await fleet.start()
  })
  afterEach(async () => {
    await Promise.all(children.splice(0).map(killed))
    await fleet.stop()
  })
}

describe('PM2', () => {
  withFleet()
  const pm2 = createRequire(import.meta.url).resolve('pm2/bin/pm2')

  /** A PM2 of its own, that knows nothing of another one on this machine. */
  async function pm2s(args: readonly string[], more: Record<string, string> = {}): Promise<string> {
    const { PATH = '', HOME = '' } = process.env
    const env = {
      PATH,
      HOME,
      PM2_HOME: join(fleet.folder, 'pm2'),
      PM2_DISABLE_VERSION_CHECK: 'true',
      ...fleet.environment,
      ...more,
    }
    const { stdout } = await run(process.execPath, [pm2, '--no-color', ...args], { env, cwd: fleet.folder })
    return stdout
  }

  afterEach(() => pm2s(['kill']))

  function ecosystem(name: string, options: object): string {
    const file = join(fleet.folder, `${name}.config.cjs`)
    const app = { name, script: fleet.program, wait_ready: true, kill_timeout: 45_000, ...options }
    writeFileSync(file, `module.exports = ${JSON.stringify({ apps: [app] })}`)
    return file
  }

  it('reloads a bot in cluster mode twice under traffic, and no command is lost or answered twice', async () => {
    const file = ecosystem('bot', { exec_mode: 'cluster', instances: 1, listen_timeout: 120_000 })
    await pm2s(['start', file], { BOT_VERSION: 'v1' })
    await fleet.said('v1', 'READY')
    await fleet.load(50)
    for (const [before, after] of [
      ['v1', 'v2'],
      ['v2', 'v3'],
    ] as const) {
      // It comes back when the old one is gone.
      await pm2s(['reload', file, '--update-env'], { BOT_VERSION: after })
      const pid = fleet.pidOf(before)
      expect(fleet.ends()).toEqual([`${before} ${pid} ENDING SIGINT`, `${before} ${pid} ENDED true true`])
    }
    expect(await fleet.settle()).toBe('v3')
    expect(await fleet.faults()).toEqual([])
    expect(await fleet.answeredBy()).toEqual(new Set(['v1', 'v2', 'v3']))
  }, 180_000)

  it('ends the old process of a reload although the new release is broken, so that nobody serves', async () => {
    const file = ecosystem('bot', { exec_mode: 'cluster', instances: 1, listen_timeout: 3_000, max_restarts: 1 })
    await pm2s(['start', file], { BOT_VERSION: 'v1' })
    await fleet.said('v1', 'READY')
    await pm2s(['reload', file, '--update-env'], { BOT_VERSION: 'v2', BOT_IS_BROKEN: 'true' })
    expect(await fleet.said('v1', 'ENDED')).toContain('true false')
  }, 60_000)

  it('starts processes beside one another in fork mode, each ends when it is replaced, and a broken release replaces none', async () => {
    const release = (version: string, isBroken = false): Promise<string> => {
      const options = { exec_mode: 'fork', listen_timeout: 10_000, stop_exit_codes: [0], max_restarts: 1 }
      const env = { BOT_VERSION: version, BOT_BAKE_MS: '500', BOT_IS_BROKEN: String(isBroken) }
      return pm2s(['start', ecosystem(`bot-${version}`, options)], env)
    }
    await release('v1')
    await fleet.said('v1', 'READY')
    await fleet.load(50)
    await release('v2')
    expect(await fleet.said('v1', 'ENDED')).toContain('true true')
    await release('v3', true)
    await fleet.said('v3', 'BEGUN')
    await release('v4')
    expect(await fleet.said('v2', 'ENDED')).toContain('true true')
    expect(await fleet.settle()).toBe('v4')
    expect(await fleet.faults()).toEqual([])
    expect(await fleet.answeredBy()).toEqual(new Set(['v1', 'v2', 'v4']))
    // Who ended by itself stays so.
    const all = JSON.parse(await pm2s(['jlist'])) as {
      readonly name: string
      readonly pm2_env: { readonly status: string }
    }[]
    const states = Object.fromEntries(all.map(({ name, pm2_env }) => [name, pm2_env.status]))
    expect(states).toMatchObject({ 'bot-v1': 'stopped', 'bot-v2': 'stopped', 'bot-v4': 'online' })
  }, 180_000)
})

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

function started(command: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const inherited = process.env as Record<string, string>
  const child = spawn(command, args, {
    env: { ...inherited, ...fleet.environment, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit')
  child.kill(signal)
  expect(await exit).toEqual([0, null])
}

function fixture(path: string): string {
  return readFileSync(new URL(`fixtures/${path}`, import.meta.url), 'utf8')
}

/** What is needed and not there; the test then says so, and is skipped. */
async function missing(...programs: readonly string[]): Promise<string | undefined> {
  for (const program of programs) {
    const isThere = await run('sh', ['-c', `command -v ${program}`]).then(
      () => true,
      () => false,
    )
    if (!isThere) return `${program} is not installed`
  }
  return undefined
}

/**
 * Prints each datagram that comes to a local socket, a line each: what Node.js cannot. Like systemd, it closes the file that comes with
 * `BARRIER=1`, for which `systemd-notify` waits so that it is known to belong to the unit.
 */
const datagrams =
  'socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, pack_sockaddr_un($ARGV[0])) or die; $| = 1;' +
  'print "$m\\n" while defined recv(S, $m, 65536, 0)'

describe('systemd', () => {
  withFleet()
  const unit = fixture('systemd/bot@.service')
  const setting = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''

  it('finds nothing wrong with the unit', async ({ skip }) => {
    const lack = await missing('systemd-analyze')
    if (lack !== undefined) skip(lack)
    // Under its own name, and with programs that are there, for it looks whether they are.
    const file = join(fleet.folder, 'bot@.service')
    writeFileSync(file, unit.replace('/usr/bin/node', process.execPath))
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', file])
    expect(stdout + stderr).toBe('')
  })

  it('is told by a datagram when a release is ready, the old one ends by itself or by the signal of the unit, and nothing is lost', async ({
    skip,
  }) => {
    const lack = await missing('systemd-notify', 'perl')
    if (lack !== undefined) skip(lack)
    // What ends well is not started again.
    const settings = [setting('Type'), setting('NotifyAccess'), setting('Restart')]
    expect(settings).toEqual(['notify', 'all', 'on-failure'])
    let before: { readonly bot: ChildProcess; readonly isOver: Promise<unknown[]> } | undefined
    for (const version of ['1', '2', '3']) {
      const [command = '', ...args] = setting('ExecStart').replace('/usr/bin/node', process.execPath).split(' ')
      const program = args.map((arg) => arg.replace('/srv/bot/%i/bot.mjs', fleet.program))
      const socket = join(fleet.folder, `notify-${version}`)
      // As `systemctl start` does, it goes on when READY=1 has come.
      const ear = started('perl', ['-MSocket', '-e', datagrams, socket])
      while (!existsSync(socket)) await new Promise((resolve) => setImmediate(resolve))
      const heard = once(ear.stdout!, 'data')
      // The second is warm for a moment, the others for as long as by default.
      const bakeMs = version === '2' ? '500' : String(gaplessRestartDefaults.bakeMs)
      const bot = started(command, program, { NOTIFY_SOCKET: socket, BOT_VERSION: version, BOT_BAKE_MS: bakeMs })
      const isOver = once(bot, 'exit')
      expect(String(await heard)).toMatch(/^READY=1\n/)
      await fleet.said(version, 'READY')
      if (before === undefined) await fleet.load(50)
      else if (version === '3') expect(await before.isOver).toEqual([0, null])
      else await ended(before.bot, setting('KillSignal') as NodeJS.Signals)
      before = { bot, isOver }
    }
    expect(fleet.lines.filter((line) => line.includes(' ENDING ')).map((line) => line.split(' ').at(-1))).toEqual([
      setting('KillSignal'),
      'replaced',
    ])
    expect(await fleet.settle()).toBe('3')
    expect(await fleet.faults()).toEqual([])
    expect(await fleet.answeredBy()).toEqual(new Set(['1', '2', '3']))
  }, 120_000)

  it('goes back to the old release by ending the new one, while the old one is warm, and nothing is lost', async () => {
    const old = started(process.execPath, [fleet.program], { BOT_VERSION: '1' })
    await fleet.said('1', 'READY')
    await fleet.load(50)
    const next = started(process.execPath, [fleet.program], { BOT_VERSION: '2' })
    await fleet.said('2', 'READY')
    await ended(next, setting('KillSignal') as NodeJS.Signals)
    expect(await fleet.settle()).toBe('1')
    expect(old.exitCode).toBe(null)
    expect(await fleet.faults()).toEqual([])
    await ended(old, setting('KillSignal') as NodeJS.Signals)
  }, 60_000)
})

describe('a container that is started before the old one is stopped', () => {
  withFleet()
  const image = fixture('container/Dockerfile')
  const list = (pattern: RegExp): string[] => JSON.parse(pattern.exec(image)?.[1] ?? '[]') as string[]
  const entry = list(/^ENTRYPOINT (\[.*\])$/m)
  const check = list(/^ {2}CMD (\[.*\])$/m)
  const signal = /^STOPSIGNAL (\w+)$/m.exec(image)?.[1] as NodeJS.Signals

  it('is healthy from the moment in which it has taken over, ends by its signal, and nothing is lost', async () => {
    let before: ChildProcess | undefined
    for (const version of ['v1', 'v2', 'v3']) {
      const [, ...args] = entry.map((arg) => arg.replace('bot.mjs', fleet.program))
      const container = started(process.execPath, args, { BOT_VERSION: version, BOT_HEALTH_PORT: '0' })
      const port = (await fleet.said(version, 'HEALTH')).split(' ').at(-1) ?? ''
      const isHealthy = (): Promise<boolean> =>
        run(process.execPath, check.slice(1), { env: { ...process.env, BOT_HEALTH_PORT: port } }).then(
          () => true,
          () => false,
        )
      while (!(await isHealthy())) expect(container.exitCode).toBe(null)
      if (before === undefined) await fleet.load(50)
      else await ended(before, signal)
      before = container
    }
    expect(await fleet.settle()).toBe('v3')
    expect(await fleet.faults()).toEqual([])
    expect(await fleet.answeredBy()).toEqual(new Set(['v1', 'v2', 'v3']))
  }, 120_000)

  it('that is broken is never healthy, and the old one serves on', async () => {
    const old = started(process.execPath, [fleet.program], { BOT_VERSION: 'v1' })
    await fleet.said('v1', 'READY')
    await fleet.load(50)
    const broken = spawn(process.execPath, [fleet.program], {
      env: { ...process.env, ...fleet.environment, BOT_VERSION: 'v2', BOT_IS_BROKEN: 'true' },
      stdio: 'ignore',
    })
    expect(await once(broken, 'exit')).toEqual([1, null])
    expect(await fleet.settle()).toBe('v1')
    expect(await fleet.faults()).toEqual([])
    await ended(old, signal)
  }, 60_000)
})
