import { expect, it, onTestFinished } from 'vitest'
import type { Slot } from '../slots/slot.js'
import type { Task } from './slot-worker-child.js'

/** What every slot has to keep, however its version runs. */
export function slotContract(make: () => Slot<Task, unknown> | Promise<Slot<Task, unknown>>): void {
  async function slot(): Promise<Slot<Task, unknown>> {
    const made = await make()
    onTestFinished(() => made.stop())
    return made
  }
  async function started(): Promise<Slot<Task, unknown>> {
    const made = await slot()
    await made.start()
    return made
  }

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

  it('refuses to start for a signal that is aborted', async () => {
    const made = await slot()
    await expect(made.start({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
}
