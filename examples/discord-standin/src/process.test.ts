import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Fault } from './faults.js'
import { startStandin, type StandinProcess } from './process.js'
import { firstChannel, logIn } from './test-bot.js'

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

describe('startStandin', () => {
  it('runs a stand-in in a process of its own', async () => {
    const standin = await startProcess({ guilds: 4, seed: 3 })
    expect(standin.pid).not.toBe(process.pid)
    expect(standin.guilds).toHaveLength(4)
    const bot = await logIn(standin)
    expect(bot.guilds.cache.size).toBe(4)
    const answer = await standin.ask({ name: 'ping', options: { text: '{id}' } })
    expect(answer).toMatchObject({ answered: true, content: 'pong' })
    const { id } = await standin.command({ name: 'ping' })

    const { id: fault } = await standin.inject({ kind: 'rest', match: '^POST /channels/', status: 403 })
    await expect(firstChannel(bot, standin).send('x')).rejects.toMatchObject({ status: 403 })
    await standin.clear(fault)
    await firstChannel(bot, standin).send('x')

    const ledger = await standin.ledger()
    expect(ledger.events.map((event) => event.id)).toEqual([answer.id, id])
    expect(ledger.messages).toHaveLength(1)
    expect((await standin.ledger({ since: ledger.now })).events).toEqual([])
    await bot.destroy()
    await standin.stop()
    await standin.stop()
    await expect(standin.ledger()).rejects.toThrow('no stand-in answers')
  })

  it('refuses what makes no sense with the same errors as in this process', async () => {
    const standin = await startProcess()
    await expect(standin.command({ name: 'ping', guildId: '1' })).rejects.toThrow(RangeError)
    await expect(standin.command({ name: '' })).rejects.toThrow(TypeError)
    await expect(standin.command({ name: 'ping', userId: 'me' })).rejects.toThrow(TypeError)
    await expect(standin.press({ messageId: '1', customId: 'yes' })).rejects.toThrow(RangeError)
    await expect(standin.inject({ kind: 'meteor' } as unknown as Fault)).rejects.toThrow(TypeError)
  })

  it('is operated by JSON alone, which no web page can send unasked', async () => {
    const standin = await startProcess()
    const control = (method: string, init: RequestInit): Promise<Response> =>
      fetch(new URL(`/_control/${method}`, standin.api), { method: 'POST', ...init })
    const headers = { 'content-type': 'application/json' }
    expect((await control('ledger', { headers, body: 'null' })).status).toBe(200)
    expect((await control('ledger', { body: 'null' })).status).toBe(415)
    expect((await control('ledger', { headers, body: '{' })).status).toBe(400)
    expect((await control('stop', { headers, body: 'null' })).status).toBe(404)
    expect((await control('constructor', { headers, body: 'null' })).status).toBe(404)
  })

  it('tells why it could not start', async () => {
    const { api } = await startProcess()
    await expect(startStandin({ port: Number(new URL(api).port) })).rejects.toThrow('EADDRINUSE')
    await expect(startStandin({ port: 70_000 })).rejects.toThrow(RangeError)
  })

  it('ends when its parent is killed', async () => {
    const { parent, childEnded } = await startWithinParent('setInterval(() => {}, 1_000)')
    parent.kill('SIGKILL')
    await childEnded
  })

  it('ends when its parent is gone before it has begun', async () => {
    const main = fileURLToPath(new URL('main.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', tsx, main], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const ended = once(child, 'exit')
    child.disconnect()
    expect(await ended).toEqual([0, null])
  })

  it('keeps no parent that is done, and ends with it', async () => {
    const { parent, childEnded } = await startWithinParent('')
    await childEnded
    if (parent.exitCode === null) await once(parent, 'exit')
    expect(parent.exitCode).toBe(0)
  })
})

async function startProcess(options: Parameters<typeof startStandin>[0] = {}): Promise<StandinProcess> {
  const standin = await startStandin(options)
  onTestFinished(() => standin.stop())
  return standin
}

/** A process that starts a stand-in. An idle connection to the stand-in tells when that has ended. */
async function startWithinParent(then: string): Promise<{ parent: ChildProcess; childEnded: Promise<void> }> {
  const program = `
    import { once } from 'node:events'
    const { startStandin } = await import(${JSON.stringify(new URL('process.ts', import.meta.url).href)})
    const { api } = await startStandin({ guilds: 1 })
    process.send(api)
    await once(process, 'message')
    process.disconnect()
    ${then}`
  const parent = spawn(process.execPath, ['--import', tsx, '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  onTestFinished(() => void parent.kill('SIGKILL'))
  const [api] = (await once(parent, 'message')) as [string]
  const socket = connect(Number(new URL(api).port), '127.0.0.1')
  await once(socket, 'connect')
  const childEnded = new Promise<void>((resolve) => {
    socket.on('close', () => resolve()).on('error', () => {})
  })
  parent.send('connected')
  return { parent, childEnded }
}
