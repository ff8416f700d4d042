import { expect, it, onTestFinished } from 'vitest'
import type { Slot, SlotDeath } from '../slots/slot.js'
import { nested } from './odd-versions.js'
import type { Task } from './slot-worker-child.js'

type Make = () => Slot<Task, unknown> | Promise<Slot<Task, unknown>>

async function slotOf(make: Make): Promise<Slot<Task, unknown>> {
  const made = await make()
  onTestFinished(() => made.stop())
  return made
}

async function startedBy(make: Make): Promise<Slot<Task, unknown>> {
  const made = await slotOf(make)
  await made.start()
  return made
}

/** What every slot has to keep, however its version runs. */
export function slotContract(make: Make): void {
  const slot = (): Promise<Slot<Task, unknown>> => slotOf(make)
  const started = (): Promise<Slot<Task, unknown>> => startedBy(make)

  it('has begun nothing before its start, and says so', async () => {
    const made = await slot()
    await expect(made.handle({ id: '1' })).rejects.toMatchObject({ code: 'NOT_BEGUN', applied: 'no', retryable: true })
    expect(await made.drain()).toMatchObject({ drained: true, running: 0 })
    await made.stop()
  })

  it('handles an event, with its id and whether it is a repeat', async () => {
    const made = await started()
    expect(made.health?.()).toBe('up')
    const delivery = { eventId: 'e', isRepeat: true }
    expect(await made.handle({ id: '1', value: [1, { a: null }] }, delivery)).toMatchObject({
      id: '1',
      value: [1, { a: null }],
      ...delivery,
    })
    expect(await made.handle({ id: '2' }, { eventId: '2' })).toMatchObject({ id: '2', isRepeat: false })
  })

  it('rejects with the error that the version threw: its name, message, code and stack', async () => {
    const made = await started()
    const error = await made.handle({ id: '1', does: 'throw' }, { eventId: 'e' }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'RangeError', message: 'no such command', code: 'USER' })
  })

  it('names what cannot be sent, and sends nothing', async () => {
    const made = await started()
    const value = { list: [{}, { client: () => undefined }] }
    await expect(made.handle({ id: '1', value }, { eventId: 'e' })).rejects.toThrow(
      /^event\.value\.list\[1\]\.client is a function, .*toWire$/,
    )
  })

  it('names what of an answer cannot be sent', async () => {
    const made = await started()
    await expect(made.handle({ id: '1', does: 'closure' }, { eventId: 'e' })).rejects.toThrow(
      /answer\.member\.client is a function/,
    )
  })

  it('names an event that is nested too deep, has room for others, and sends nothing', async () => {
    const made = await started()
    for (const levels of [600, 50_000]) {
      await expect(made.handle({ id: '1', value: nested(levels) })).rejects.toThrow(
        /^event\.value\.inner.* is nested deeper than 500 levels, .*toWire$/,
      )
    }
    expect(await made.handle({ id: '2', value: nested(400) }, { eventId: '2' })).toMatchObject({ id: '2' })
    expect(await made.drain()).toMatchObject({ drained: true })
  })

  it('starts once, however often it is told, and stops so', async () => {
    const made = await slot()
    await Promise.all([made.start(), made.start()])
    await made.start()
    await Promise.all([made.stop(), made.stop()])
    await made.stop()
    await expect(made.handle({ id: '1' })).rejects.toMatchObject({ code: 'NOT_BEGUN' })
    expect(made.health?.()).toBe('down')
    await made.start()
    expect(await made.handle({ id: '2' }, { eventId: '2' })).toMatchObject({ id: '2' })
  })

  it('drains, takes nothing meanwhile, and is taken back by start()', async () => {
    const made = await started()
    const running = made.handle({ id: '1', does: 'hang' }, { eventId: '1' }).catch((error: unknown) => error)
    const drain = made.drain({ timeoutMs: 60_000 })
    await expect(made.handle({ id: '2' }, { eventId: '2' })).rejects.toMatchObject({ code: 'NOT_BEGUN' })
    await made.start()
    expect(await made.handle({ id: '3' }, { eventId: '3' })).toMatchObject({ id: '3' })
    expect(await drain).toMatchObject({ drained: false, running: 1 })
    await made.stop()
    await running
  })

  it('tells what a drain has left, and ends it for its signal', async () => {
    const made = await started()
    const running = made.handle({ id: '1', does: 'hang' }, { eventId: '1' }).catch((error: unknown) => error)
    await expect(made.drain({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
    expect(await made.drain({ timeoutMs: 100 })).toMatchObject({ drained: false, running: 1 })
    await made.stop()
    expect(await running).toMatchObject({ applied: 'unknown' })
  })

  it('starts, whatever start before it was given up a moment ago', async () => {
    const made = await slot()
    const stop = new AbortController()
    const before = made.start({ signal: stop.signal }).catch((error: unknown) => error)
    stop.abort(new Error('it is not wanted any more'))
    await made.start()
    expect(made.health?.()).toBe('up')
    expect(await before).toBeInstanceOf(Error)
  })

  it('refuses to start for a signal that is aborted', async () => {
    const made = await slot()
    await expect(made.start({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
}

/** What every slot has to keep whose version throws and answers as none should: see `odd-versions.ts`. */
export function oddVersionContract(make: Make): void {
  it('survives an answer that is nested too deep, and names it', async () => {
    const made = await startedBy(make)
    const died = watchDeaths(made)
    const error = await made.handle({ id: '1', does: 'deep' }, { eventId: '1' }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'TypeError' })
    expect(String(error)).toMatch(
      /the answer\.inner.* is nested deeper than 500 levels, .*the event is done all the same/,
    )
    expect(await made.handle({ id: '2' }, { eventId: '2' })).toMatchObject({ id: '2' })
    expect(died).toEqual([])
  })

  it('tells of whatever the version threw', async () => {
    const made = await startedBy(make)
    const died = watchDeaths(made)
    await expect(made.handle({ id: '1', does: 'throw-hostile' }, { eventId: '1' })).rejects.toThrow(
      'the handler threw something that cannot be read',
    )
    await expect(made.handle({ id: '3', does: 'throw-endless' }, { eventId: '3' })).rejects.toThrow(/^come back never$/)
    const much = await made.handle({ id: '2', does: 'throw-much' }, { eventId: '2' }).catch((thrown: unknown) => thrown)
    expect(much).toMatchObject({ name: 'RangeError', message: expect.stringMatching(/^x{1000}/) as string })
    expect(died).toEqual([])
  })
}

function watchDeaths(made: Slot<Task, unknown>): SlotDeath[] {
  const deaths: SlotDeath[] = []
  made.onDeath((death) => deaths.push(death))
  return deaths
}
