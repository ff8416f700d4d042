import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BlueGreen, memoryState } from '../index.js'
import { kubernetesSlot, type KubernetesSlotOptions, type Slot } from '../kubernetes.js'
import { serveVersionHttp } from '../slots-http.js'
import {
  answers,
  breaks,
  countingReads,
  doesAndBreaks,
  hangs,
  KubernetesStandin,
  podsOf,
  sendsHalf,
} from '../test-support/kubernetes-standin.js'
import { beOdd, isOdd } from '../test-support/odd-versions.js'
import { serveFetch } from '../test-support/serve-fetch.js'
import { slotContract } from '../test-support/slot-contract.js'
import type { Task } from '../test-support/slot-worker-child.js'

const token = 'a-token-that-nobody-guesses'
const key = 'deployments/bot-green'

const driving = (epoch: number) => () => ({ controller: 'DRIVING', epoch }) as const

function handle(
  task: Task,
  { eventId, isRepeat }: { readonly eventId: string | undefined; readonly isRepeat: boolean },
) {
  if (isOdd(task.does)) return beOdd(task.does)
  if (task.does === 'throw') throw Object.assign(new RangeError('no such command'), { code: 'USER' })
  if (task.does === 'hang') return new Promise(() => undefined)
  if (task.does === 'closure') return { member: { client: () => undefined } }
  return { id: task.id, eventId, isRepeat, value: task.value }
}

/** A cluster with a version in it, scaled to so many pods. */
async function cluster(replicas = 0): Promise<{ readonly standin: KubernetesStandin; readonly url: string }> {
  const standin = await new KubernetesStandin().start()
  onTestFinished(() => standin.stop())
  standin.addDeployment('bot-green', replicas)
  const served = await serveFetch(serveVersionHttp(handle, { token }))
  onTestFinished(() => served.close())
  return { standin, url: served.url }
}

function slotIn(
  { standin, url }: { readonly standin: KubernetesStandin; readonly url: string },
  options: Partial<KubernetesSlotOptions<Task>> = {},
): Slot<Task, unknown> {
  const slot = kubernetesSlot<Task, unknown>({
    deployment: 'bot-green',
    http: { url, token, effects: 'stored', healthMs: 50 },
    status: driving(7),
    api: standin.api(),
    retryMs: 5,
    maxRetryMs: 20,
    ...options,
  })
  onTestFinished(() => slot.stop().catch(() => undefined))
  return slot
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )

describe('a version in a Kubernetes cluster', () => {
  slotContract(async () => slotIn(await cluster()))

  it('is scaled up, waited for, and scaled down when it is given up', async () => {
    const { standin, url } = await cluster()
    const slot = slotIn({ standin, url }, { replicas: 3 })
    await slot.start()
    expect(standin.object(key)).toMatchObject({
      spec: { replicas: 3 },
      status: { readyReplicas: 3 },
      metadata: { annotations: { 'evenkeel.dev/epoch': '7' } },
    })
    expect(await slot.handle({ id: '1' }, { eventId: '1' })).toMatchObject({ id: '1' })
    expect(await slot.drain()).toMatchObject({ drained: true })
    expect(standin.object(key).spec).toEqual({ replicas: 3 })
    await slot.stop()
    expect(standin.object(key).spec).toEqual({ replicas: 0 })
  })

  it('keeps its pods when its controller merely ends', async () => {
    const { standin, url } = await cluster()
    const slot = slotIn({ standin, url })
    await slot.start()
    await slot.stop()
    expect(standin.object(key).spec).toEqual({ replicas: 1 })
  })

  it.each(['STOPPED', 'FENCED'] as const)(
    'keeps its pods when its controller drives no more: %s',
    async (controller) => {
      const { standin, url } = await cluster()
      let status: { controller: 'DRIVING' | 'STOPPED' | 'FENCED'; epoch: number } = { controller: 'DRIVING', epoch: 7 }
      const slot = slotIn({ standin, url }, { status: () => status })
      await slot.start()
      status = { controller, epoch: 7 }
      await slot.drain()
      await slot.stop()
      expect(standin.object(key).spec).toEqual({ replicas: 1 })
    },
  )

  it('keeps its pods when its controller ends while it tries to scale them down', async () => {
    const { standin, url } = await cluster()
    let status: { controller: 'DRIVING' | 'STOPPED'; epoch: number } = { controller: 'DRIVING', epoch: 7 }
    const slot = slotIn({ standin, url }, { status: () => status })
    await slot.start()
    await slot.drain()
    standin.fail(/GET/, (request, response) => {
      status = { controller: 'STOPPED', epoch: 7 }
      breaks(request, response, () => undefined)
    })
    await slot.stop()
    expect(standin.object(key).spec).toEqual({ replicas: 1 })
  })

  it('keeps its pods when it was taken back while it was drained', async () => {
    const { standin, url } = await cluster()
    const slot = slotIn({ standin, url })
    await slot.start()
    const running = failure(slot.handle({ id: '1', does: 'hang' }))
    const drain = slot.drain({ timeoutMs: 60_000 })
    await slot.start()
    await drain
    await slot.stop()
    await running
    expect(standin.object(key).spec).toEqual({ replicas: 1 })
  })

  it('has no fewer pods than an autoscaler gave it', async () => {
    const { standin, url } = await cluster(5)
    await slotIn({ standin, url }, { replicas: 2 }).start()
    expect(standin.object(key).spec).toEqual({ replicas: 5 })
  })

  it('is not ready before all its pods are', async () => {
    const { standin, url } = await cluster()
    standin.makesPodsReady = false
    const slot = slotIn({ standin, url }, { replicas: 2 })
    let isReady = false
    const start = slot.start().then(() => (isReady = true))
    await standin.until(`WATCH ${key}`)
    expect(slot.health?.()).toBe('unknown')
    standin.edit(key, ({ metadata, status }) => Object.assign(status, podsOf(metadata.generation, 1)))
    standin.cutWatches()
    await standin.until(`WATCH ${key}`, 2)
    expect(isReady).toBe(false)
    standin.edit(key, ({ metadata, status }) => Object.assign(status, podsOf(metadata.generation, 2)))
    await start
    expect(slot.health?.()).toBe('up')
  })

  it('whose pods never get ready says why, and what the cluster has given up ends at once', async () => {
    const { standin, url } = await cluster()
    standin.makesPodsReady = false
    const clock = new FakeClock()
    const late = failure(slotIn({ standin, url }, { clock, startTimeoutMs: 300 }).start())
    await standin.until(`WATCH ${key}`)
    await clock.advance(300)
    expect(String(await late)).toMatch(/not ready within 300 ms: the cluster has not seen it yet/)
    const again = failure(slotIn({ standin, url }).start())
    await standin.until(`WATCH ${key}`, 2)
    const conditions = [{ type: 'Progressing', reason: 'ProgressDeadlineExceeded', message: 'no such image' }]
    standin.edit(key, ({ metadata, status }) => Object.assign(status, podsOf(metadata.generation, 0), { conditions }))
    expect(await again).toMatchObject({ code: 'SLOT_START', why: 'the cluster has given up: no such image' })
  })

  it('is read again and again where watching is not allowed', async () => {
    const { standin, url } = await cluster()
    standin.makesPodsReady = false
    standin.may = (verb) => !verb.startsWith('WATCH')
    const start = slotIn({ standin, url }).start()
    await standin.until(`GET ${key}`, 3)
    standin.edit(key, ({ metadata, status }) => Object.assign(status, podsOf(metadata.generation, 1)))
    await start
  })

  it.each([
    ['answers 429', answers(429)],
    ['answers 500', answers(500)],
    ['answers 401', answers(401)],
    ['hangs', hangs],
    ['breaks the connection', breaks],
    ['does it and breaks the connection', doesAndBreaks],
    ['sends half an answer', sendsHalf],
  ])('is started and given up while the API %s, twice each', async (_, fault) => {
    const { standin, url } = await cluster()
    const slot = slotIn({ standin, url }, { api: standin.api({ timeoutMs: fault === hangs ? 200 : 5_000 }) })
    const badly = (): void => [/GET/, /PATCH/, /WATCH/].forEach((what) => standin.fail(what, fault, 2))
    badly()
    await slot.start()
    expect(standin.object(key).status).toMatchObject({ readyReplicas: 1 })
    badly()
    await slot.drain()
    await slot.stop()
    expect(standin.object(key).spec).toEqual({ replicas: 0 })
  })

  it.each([
    ['9', 9_000],
    ['3600', 15_000],
  ])('waits as long as an API that has too much to do says, and at most maxRetryMs: %s s', async (asked, waitMs) => {
    const { standin, url } = await cluster()
    const clock = new FakeClock()
    standin.fail(/GET/, answers(429, { 'retry-after': asked }))
    const api = countingReads(standin.api())
    const slot = slotIn({ standin, url }, { clock, api, maxRetryMs: 15_000 })
    const start = slot.start()
    await standin.until(`GET ${key}`)
    // The deadline of the start, and the wait.
    while (clock.pending !== 2) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(waitMs - 1)
    expect(api.reads).toBe(1)
    await clock.advance(1)
    expect(api.reads).toBe(2)
    await slot.stop()
    await failure(start)
  })

  it('reads again what somebody else has written meanwhile', async () => {
    const { standin, url } = await cluster()
    let edits = 0
    const edit = (): void =>
      standin.edit(key, ({ metadata }) => (metadata.annotations = { ...metadata.annotations, edits: String(++edits) }))
    standin.fail(/PATCH/, (_request, _response, serve) => (edit(), serve()), 3)
    await slotIn({ standin, url }).start()
    expect(standin.count(`PATCH ${key}`)).toBe(4)
    expect(standin.object(key)).toMatchObject({
      spec: { replicas: 1 },
      metadata: { annotations: { edits: '3' } },
    })
  })

  it('of a stale controller is neither started nor scaled down', async () => {
    const { standin, url } = await cluster(1)
    const slot = slotIn({ standin, url }, { status: driving(7) })
    await slot.start()
    // The newer one has it started, and so has written its token.
    await slotIn({ standin, url }, { status: driving(8) }).start()
    await slot.drain()
    expect(await failure(slot.stop())).toMatchObject({ code: 'FENCED', epoch: 8 })
    expect(standin.object(key).spec).toEqual({ replicas: 1 })
    const error = await failure(slotIn({ standin, url }, { status: driving(7) }).start())
    expect(error).toMatchObject({ code: 'SLOT_START', cause: { code: 'FENCED' } })
    expect(String(error)).toContain('kubectl annotate deployment/bot-green evenkeel.dev/epoch-')
  })

  it('whose write came too late for a newer controller is refused by its version', async () => {
    const { standin, url } = await cluster()
    standin.fail(/PATCH/, (_request, _response, serve) => {
      standin.edit(key, ({ metadata }) => (metadata.annotations = { 'evenkeel.dev/epoch': '8' }))
      serve()
    })
    expect(await failure(slotIn({ standin, url }).start())).toMatchObject({ cause: { code: 'FENCED', epoch: 8 } })
    expect(standin.object(key).spec).toEqual({ replicas: 0 })
  })

  it('is not scaled by a controller that has no epoch yet', async () => {
    const { standin, url } = await cluster()
    const error = await failure(slotIn({ standin, url }, { status: driving(0) }).start())
    expect(error).toMatchObject({ code: 'SLOT_START', cause: { code: 'FENCED' } })
    expect(standin.count(`PATCH ${key}`)).toBe(0)
    standin.addDeployment('bot-green', 1)
    await slotIn({ standin, url }, { status: driving(0) }).start()
    expect(standin.count(`PATCH ${key}`)).toBe(0)
  })

  it('with an annotation that is no epoch is left alone', async () => {
    const { standin, url } = await cluster()
    standin.edit(key, ({ metadata }) => (metadata.annotations = { 'evenkeel.dev/epoch': 'blue' }))
    expect(await failure(slotIn({ standin, url }).start())).toMatchObject({ cause: { code: 'KUBERNETES_OBJECT' } })
  })

  it('is not scaled down while others send it something', async () => {
    const { standin, url } = await cluster()
    let asked = 0
    const slot = slotIn({ standin, url }, { mayScaleDown: () => ++asked > 3, settleMs: 0 })
    await slot.start()
    await slot.drain()
    await slot.stop()
    expect([asked, standin.object(key).spec]).toEqual([4, { replicas: 0 }])
    const never = slotIn({ standin, url }, { mayScaleDown: () => false, stopTimeoutMs: 50, settleMs: 0 })
    await never.start()
    await never.drain()
    expect(String(await failure(never.stop()))).toContain('not within 50 ms: Scaling down deployments/bot-green')
    expect(standin.object(key).spec).toEqual({ replicas: 1 })
  })

  /** A version that has been drained, and is to be scaled down when it may. */
  async function givenUp(options: Partial<KubernetesSlotOptions<Task>>) {
    const { standin, url } = await cluster()
    const clock = new FakeClock()
    const api = countingReads(standin.api())
    const slot = slotIn({ standin, url }, { clock, api, retryMs: 1_000, maxRetryMs: 1_000, ...options })
    await slot.start()
    await slot.drain()
    const reads = api.reads
    const stop = slot.stop()
    // The deadline of the stop, and a wait.
    while (clock.pending !== 2) await new Promise((resolve) => setImmediate(resolve))
    return { standin, clock, slot, stop, readsNow: () => api.reads - reads }
  }

  it('is not scaled down before what a route has been told is in force', async () => {
    const { standin, clock, stop, readsNow } = await givenUp({ mayScaleDown: () => true })
    await clock.advance(1_999)
    expect(readsNow()).toBe(0)
    await clock.advance(1)
    await stop
    expect(standin.object(key).spec).toEqual({ replicas: 0 })
  })

  it('waits anew when others send it something again, and not for each try', async () => {
    let may = true
    const { standin, clock, stop, readsNow } = await givenUp({ mayScaleDown: () => may })
    may = false
    await clock.advance(2_000)
    may = true
    await clock.advance(2_999)
    expect(readsNow()).toBe(0)
    standin.fail(/GET/, breaks)
    await clock.advance(1)
    await standin.until(`GET ${key}`, standin.count(`GET ${key}`) + 1)
    while (clock.pending !== 2) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(1_000)
    await stop
    expect(standin.object(key).spec).toEqual({ replicas: 0 })
  })

  it('keeps its pods when its controller ends before they may be scaled down', async () => {
    let status: { controller: 'DRIVING' | 'STOPPED'; epoch: number } = { controller: 'DRIVING', epoch: 7 }
    const { standin, clock, stop } = await givenUp({ mayScaleDown: () => true, status: () => status })
    status = { controller: 'STOPPED', epoch: 7 }
    await clock.advance(2_000)
    await stop
    expect(standin.object(key).spec).toEqual({ replicas: 1 })
  })

  it('starts, stops and is given up within its deadlines although the token never comes', async () => {
    const { standin, url } = await cluster(1)
    let token: () => Promise<string> = () => Promise.resolve(standin.token)
    const api = standin.api({ token: () => token(), ca: standin.ca })
    const clock = new FakeClock()
    const slot = slotIn({ standin, url }, { api, clock, startTimeoutMs: 300, stopTimeoutMs: 300 })
    const never = new Promise<string>(() => undefined)
    let asked: () => void
    const hang = (): Promise<void> =>
      new Promise((resolve) => {
        asked = resolve
        token = () => (asked(), never)
      })
    let hung = hang()
    const late = failure(slot.start())
    await hung
    await clock.advance(300)
    expect(await late).toMatchObject({ code: 'SLOT_START' })
    hung = hang()
    const stopped = failure(slot.start())
    await hung
    await slot.stop()
    expect(await stopped).toMatchObject({ code: 'SLOT_START', why: 'it was stopped' })
    token = () => Promise.resolve(standin.token)
    await slot.start()
    await slot.drain()
    hung = hang()
    const end = failure(slot.stop())
    await hung
    await clock.advance(300)
    expect(await end).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE' })
    token = () => Promise.resolve(standin.token)
  })

  it('whose Deployment is deleted meanwhile ends its start', async () => {
    const { standin, url } = await cluster()
    standin.makesPodsReady = false
    const start = failure(slotIn({ standin, url }).start())
    await standin.until(`WATCH ${key}`)
    standin.remove(key)
    expect(await start).toMatchObject({ code: 'SLOT_START', cause: { status: 404 } })
  })

  it('is given up when the API is back, and kept when it is started again before', async () => {
    const { standin, url } = await cluster()
    const slot = slotIn({ standin, url })
    await slot.start()
    await slot.drain()
    await standin.down()
    const stop = slot.stop()
    const start = slot.start()
    await stop
    await standin.up()
    await start
    expect(standin.object(key).spec).toEqual({ replicas: 1 })
    await slot.drain()
    await standin.down()
    const end = slot.stop()
    await standin.up()
    await end
    expect(standin.object(key).spec).toEqual({ replicas: 0 })
  })

  it('ends its start for stop(), and for a signal', async () => {
    const { standin, url } = await cluster()
    standin.fail(/GET/, hangs, 2)
    const slot = slotIn({ standin, url })
    const start = failure(slot.start())
    await standin.until(`GET ${key}`)
    await slot.stop()
    expect(await start).toMatchObject({ code: 'SLOT_START', why: 'it was stopped' })
    const stop = new AbortController()
    const again = failure(slot.start({ signal: stop.signal }))
    await standin.until(`GET ${key}`, 2)
    stop.abort()
    expect(await again).toMatchObject({ code: 'SLOT_START' })
  })
})

it('stands in versions of BlueGreen: scaled up when it is deployed, and blue scaled down when that is complete', async () => {
  const { standin, url } = await cluster()
  standin.addDeployment('bot-blue', 2)
  const slotOf = (name: string): Slot<Task, unknown> =>
    kubernetesSlot<Task, unknown>({
      deployment: name,
      http: { url, token, effects: 'stored', healthMs: 50 },
      status: () => blueGreen.status,
      api: standin.api(),
    })
  const blueGreen: BlueGreen<Record<'v1' | 'v2', Slot<Task, unknown>>> = new BlueGreen({
    versions: { v1: slotOf('bot-blue'), v2: slotOf('bot-green') },
    initial: 'v1',
    context: ({ id = '' }: Task) => ({ eventId: id, guildId: id }),
    store: memoryState(),
  })
  onTestFinished(() => blueGreen.stop())
  const replicas = (): unknown[] =>
    ['blue', 'green'].map((name) => standin.object(`deployments/bot-${name}`).spec['replicas'])
  await blueGreen.start()
  expect(await blueGreen.handle({ id: '1' })).toMatchObject({ id: '1' })
  const rolledBack = await blueGreen.deploy('v2', { percentages: [100], stepMs: 600_000 })
  expect(replicas()).toEqual([2, 1])
  await rolledBack.rollback({ why: 'users complain' })
  while (replicas()[1] !== 0)
    await standin.until('PATCH deployments/bot-green', standin.count('PATCH deployments/bot-green') + 1)
  const complete = await blueGreen.deploy('v2', { percentages: [100], stepMs: 600_000, retry: true })
  await complete.promote()
  expect((await complete.finished).outcome).toBe('COMPLETE')
  while (replicas()[0] !== 0)
    await standin.until('PATCH deployments/bot-blue', standin.count('PATCH deployments/bot-blue') + 1)
  expect(await blueGreen.handle({ id: '2' })).toMatchObject({ id: '2' })
  await blueGreen.stop()
  expect(replicas()).toEqual([0, 1])
})

it('options that make no sense are refused', () => {
  const http = { url: 'http://x', token, effects: 'stored' }
  const wrong: [Record<string, unknown>, string][] = [
    [{ deployment: '../services/bot' }, 'deployment must be a name of Kubernetes'],
    [{ status: {} }, 'status must be a function'],
    [{ replicas: 0 }, 'replicas'],
    [{ retryMs: -1 }, 'retryMs'],
    [{ settleMs: -1 }, 'settleMs'],
    [{ settleMs: 30_000, mayScaleDown: () => true }, 'settleMs must be shorter than stopTimeoutMs'],
    [{ http: { url: 'http://x' } }, 'token of httpSlot'],
    [{ api: {} }, 'api.get must be a function'],
    [{ pods: 1 }, 'has no option "pods"'],
  ]
  for (const [options, words] of wrong) {
    const given = { deployment: 'bot', http, status: driving(1), ...options }
    expect(() => kubernetesSlot(given as never)).toThrow(words)
  }
})
