import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { look } from '../test-support/look.js'
import { temporaryFolder } from '../test-support/temporary-folder.js'
import { judgeProcess, processCheck } from './process-check.js'

const run = promisify(execFile)

async function startProcess(): Promise<{ child: ChildProcess; pid: number }> {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child, 'spawn')
  return { child, pid: child.pid as number }
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

describe('by its number', () => {
  it('is up while it is alive, and down when it has ended', async () => {
    const { child, pid } = await startProcess()
    const check = processCheck({ pid })
    expect(await look(check)).toEqual({ status: 'up', reason: `process ${pid} is alive` })
    await kill(child)
    expect(await look(check)).toEqual({ status: 'down', reason: `process ${pid} does not exist` })
  })

  it.skipIf(process.getuid === undefined)('is up when it belongs to somebody else', async () => {
    // Root may signal everybody, so the one who looks becomes nobody, once it has loaded what only root may read.
    const check = fileURLToPath(new URL('process-check.ts', import.meta.url))
    const program = `import(${JSON.stringify(check)}).then(async ({ processCheck }) => {
      if (process.getuid() === 0) {
        process.setgid(65_534)
        process.setuid(65_534)
      }
      console.log(await processCheck({ pid: 1 })())
    })`
    const parameters = ['--import', 'tsx', '--conditions=@evenkeel/source', '--eval', program]
    const { stdout } = await run(process.execPath, parameters, { env: {} })
    expect(stdout).toBe("{ status: 'up', reason: 'process 1 is alive' }\n")
  })

  it('is up whatever it calls itself', async () => {
    const program = "process.title = 'bot) Z 1 2'; process.stdin.resume(); console.log('called')"
    const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'ignore'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    expect((await look(processCheck({ pid: child.pid as number }))).status).toBe('up')
  })

  it.runIf(existsSync('/proc/self/stat'))('is down when it is a zombie', async () => {
    // A shell that has become another program does not wait for the child it had.
    const script = 'sleep 0.5 & echo $!; exec sleep 60'
    const shell = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
    onTestFinished(() => void shell.kill('SIGKILL'))
    const [output] = (await once(shell.stdout, 'data')) as [Buffer]
    const check = processCheck({ pid: Number(output.toString()) })
    const reason = async (): Promise<string> => (await look(check)).reason
    await expect.poll(reason, { timeout: 10_000 }).toMatch(/has ended, and its parent has not noticed/)
  })
})

describe('a number that was seen before', () => {
  const seen = (pid: number, startedTicks?: string) => ({ pid, startedTicks })

  it.each([
    [seen(5, '100'), seen(5, '100'), 'up'],
    [seen(5, '200'), seen(5, '100'), 'down'],
    [seen(6, '200'), seen(5, '100'), 'up'],
    [seen(5, '200'), seen(5), 'up'],
    // It ended between the two questions; the next look says so.
    [seen(5), seen(5, '100'), 'up'],
  ])('%o after %o is %s', (now, before, status) => {
    expect(judgeProcess(now, 'S', before).status).toBe(status)
  })
})

describe('by its file', () => {
  it('is up after a restart with another number', async () => {
    const pidFile = join(temporaryFolder(), 'bot.pid')
    const first = await startProcess()
    writeFileSync(pidFile, `${first.pid}\n`)
    const check = processCheck({ pidFile })
    expect((await look(check)).status).toBe('up')
    await kill(first.child)
    expect((await look(check)).status).toBe('down')
    const second = await startProcess()
    writeFileSync(pidFile, `${second.pid}\nmore\n`)
    expect(await look(check)).toEqual({ status: 'up', reason: `process ${second.pid} is alive` })
  })

  it.each([
    ['', /holds no number/],
    ['bot\n', /holds no number/],
    ['0', /holds no number/],
    ['-1', /holds no number/],
    ['12.5', /holds no number/],
    ['0x1', /holds no number/],
    ['1e0', /holds no number/],
    ['2147483647', /does not exist/],
  ])('is down when it says %o', async (text, reason) => {
    const pidFile = join(temporaryFolder(), 'bot.pid')
    writeFileSync(pidFile, text)
    const seen = await look(processCheck({ pidFile }))
    expect(seen.status).toBe('down')
    expect(seen.reason).toMatch(reason)
  })

  it('is down when there is no file', async () => {
    expect((await look(processCheck({ pidFile: join(temporaryFolder(), 'no.pid') }))).reason).toMatch(/ENOENT/)
  })
})

it.each([
  [undefined, TypeError],
  [{}, TypeError],
  [{ pid: 5, pidFile: 'x' }, TypeError],
  [{ pid: '5' }, TypeError],
  [{ pid: 0 }, RangeError],
  [{ pid: -5 }, RangeError],
  [{ pid: NaN }, RangeError],
  [{ pidFile: '' }, TypeError],
  [{ name: 'x' }, TypeError],
])('refuses %o', (options, kind) => {
  expect(() => processCheck(options as never)).toThrow(kind)
})
