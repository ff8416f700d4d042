import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BlueGreen, memoryState, type Deployment } from '../index.js'
import {
  httpRouteWeights,
  serviceSelector,
  TrafficRouter,
  type TrafficChange,
  type TrafficRouterOptions,
} from '../kubernetes.js'
import type { StateStore } from '../ports.js'
import {
  answers,
  breaks,
  countingReads,
  doesAndBreaks,
  hangs,
  KubernetesStandin,
  sendsHalf,
} from '../test-support/kubernetes-standin.js'

const route = 'httproutes/bot'
const backends = { v1: 'bot-blue', v2: 'bot-green', v3: 'bot-blue' }
const toRoute = httpRouteWeights({ route: 'bot', backends })
const toService = serviceSelector({ service: 'bot', versions: { v1: { slot: 'blue' }, v2: { slot: 'green' } } })

async function cluster(): Promise<KubernetesStandin> {
  const standin = await new KubernetesStandin().start()
  onTestFinished(() => standin.stop())
  standin.add('services', 'bot', { selector: { app: 'bot', slot: 'blue' }, ports: [{ port: 80 }] })
  const refs = [
    { name: 'bot-blue', port: 80, weight: 100 },
    { name: 'bot-green', port: 80, weight: 0 },
  ]
  const other = { matches: [{ path: { value: '/other' } }], backendRefs: [{ name: 'something-else', port: 1 }] }
  standin.add('httproutes', 'bot', {
    hostnames: ['bot.example'],
    rules: [{ filters: ['kept'], backendRefs: refs }, other],
  })
  return standin
}

function bot(store: StateStore = memoryState()) {
  const blueGreen = new BlueGreen({
    versions: { v1: () => 'old', v2: () => 'new', v3: () => 'newer', v4: () => 'newest' },
    initial: 'v1',
    context: (id: string) => ({ eventId: id }),
    store,
  })
  onTestFinished(() => blueGreen.stop())
  return blueGreen
}

type Bot = ReturnType<typeof bot>

function routerOf(standin: KubernetesStandin, blueGreen: Bot, options: Partial<TrafficRouterOptions> = {}) {
  const target = options.target ?? toRoute
  const fast = { retryMs: 5, maxRetryMs: 20 }
  const router = new TrafficRouter({ blueGreen, api: standin.api(), ...fast, ...options, target })
  const news: TrafficChange[] = []
  router.on('change', (change) => news.push(change))
  onTestFinished(() => router.stop())
  return { router, news }
}

/** A bot that has just begun to deploy `v2`, to be promoted by hand. */
async function deploying(percentages: readonly number[] = [10, 50, 100], options: Partial<TrafficRouterOptions> = {}) {
  const standin = await cluster()
  const blueGreen = bot()
  await blueGreen.start()
  const { router, news } = routerOf(standin, blueGreen, options)
  await router.start()
  const deployment = await blueGreen.deploy('v2', { percentages: [...percentages], stepMs: 600_000 })
  await router.drain()
  return { standin, blueGreen, router, news, deployment }
}

function weights(standin: KubernetesStandin): unknown[] {
  const [rule] = standin.object(route).spec['rules'] as { backendRefs: { weight?: number }[] }[]
  return rule?.backendRefs.map(({ weight }) => weight) ?? []
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )

const rollBack = (deployment: Deployment): Promise<unknown> => deployment.rollback({ why: 'users complain' })

describe('traffic that does not pass through blue-green', () => {
  it('follows each step by the weights of a route, and nothing else of it changes', async () => {
    const { standin, blueGreen, router, news, deployment } = await deploying([10, 33.3, 100])
    expect(weights(standin)).toEqual([90, 10])
    await deployment.promote()
    await router.drain()
    expect(weights(standin)).toEqual([667_000, 333_000])
    await deployment.promote()
    await router.drain()
    expect(weights(standin)).toEqual([0, 100])
    await deployment.promote()
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect(blueGreen.status.active).toBe('v2')
    expect(await router.drain()).toEqual({ drained: true })
    expect(weights(standin)).toEqual([0, 100])
    expect(standin.object(route)).toMatchObject({
      spec: {
        hostnames: ['bot.example'],
        rules: [{ filters: ['kept'] }, { backendRefs: [{ name: 'something-else', port: 1 }] }],
      },
      metadata: { annotations: { 'evenkeel.dev/epoch': String(blueGreen.status.epoch) } },
    })
    expect(news.map(({ what, from, to }) => [what, from, to])).toEqual([
      ['traffic', 'v1 100 %', 'v1 90 %, v2 10 %'],
      ['traffic', 'v1 90 %, v2 10 %', 'v1 66.7 %, v2 33.3 %'],
      ['traffic', 'v1 66.7 %, v2 33.3 %', 'v2 100 %'],
    ])
    expect(news[0]).toMatchObject({
      severity: 'INFO',
      message: 'httproutes/bot gives v1 90 %, v2 10 % now, before v1 100 %.',
    })
    expect(router.status).toMatchObject({ wanted: 'v2 100 %', written: 'v2 100 %', isWritten: true, api: 'up' })
  })

  it('goes over as a whole by the selector of a Service, and back with a rollback', async () => {
    const standin = await cluster()
    const blueGreen = bot()
    await blueGreen.start()
    const { router } = routerOf(standin, blueGreen, { target: toService })
    await router.start()
    const selector = (): unknown => standin.object('services/bot').spec['selector']
    const deployment = await blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 600_000 })
    await router.drain()
    expect(selector()).toEqual({ app: 'bot', slot: 'blue' })
    await deployment.promote()
    await router.drain()
    expect(selector()).toEqual({ app: 'bot', slot: 'green' })
    await rollBack(deployment)
    await router.drain()
    expect(selector()).toEqual({ app: 'bot', slot: 'blue' })
    expect(standin.object('services/bot').spec['ports']).toEqual([{ port: 80 }])
  })

  it('is put right at the start, after a crash say', async () => {
    const standin = await cluster()
    standin.edit(route, ({ spec }) => {
      const rules = structuredClone(spec['rules']) as { backendRefs: { weight: number }[] }[]
      rules[0]!.backendRefs[1]!.weight = 50
      spec['rules'] = rules
    })
    const blueGreen = bot()
    await blueGreen.start()
    await routerOf(standin, blueGreen).router.start()
    expect(weights(standin)).toEqual([100, 0])
  })

  it('is put right again when somebody else changes it, which is told', async () => {
    const standin = await cluster()
    const clock = new FakeClock()
    const blueGreen = bot()
    await blueGreen.start()
    const { router, news } = routerOf(standin, blueGreen, { clock, checkMs: 1_000 })
    await router.start()
    standin.edit(
      route,
      ({ spec }) => (spec['rules'] = [{ backendRefs: [{ name: 'bot-blue' }, { name: 'bot-green' }] }]),
    )
    await clock.advance(1_000)
    await standin.until(`PATCH ${route}`, 2)
    while (news.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(weights(standin)).toEqual([100, 0])
    expect(news).toMatchObject([
      { what: 'traffic', to: 'v1 100 %', severity: 'WARNING', why: 'somebody else had changed it' },
    ])
  })

  it.each([
    ['answers 500', answers(500)],
    ['answers 429', answers(429)],
    ['answers 401', answers(401)],
    ['hangs', hangs],
    ['breaks the connection', breaks],
    ['does it and breaks the connection', doesAndBreaks],
    ['sends half an answer', sendsHalf],
  ])('is written when the API %s, three times each', async (_, fault) => {
    const standin = await cluster()
    const blueGreen = bot()
    await blueGreen.start()
    const { router, news } = routerOf(standin, blueGreen, {
      api: standin.api({ timeoutMs: fault === hangs ? 200 : 5_000 }),
    })
    for (const what of [/GET/, /PATCH/]) standin.fail(what, fault, 3)
    await router.start()
    await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 600_000 })
    for (const what of [/GET/, /PATCH/]) standin.fail(what, fault, 3)
    await router.drain()
    expect(weights(standin)).toEqual([90, 10])
    expect(news.filter(({ what }) => what === 'traffic').map(({ to }) => to)).toEqual(['v1 90 %, v2 10 %'])
    // Told once as it begins, and once as it ends.
    const outages = news.filter(({ what }) => what === 'api').map(({ to }) => to)
    expect(outages).toEqual(outages.map((_, i) => (i % 2 === 0 ? 'down' : 'up')))
  })

  it('of a rollback is written as soon as the API is back, and told meanwhile', async () => {
    const { standin, router, news, deployment } = await deploying()
    await standin.down()
    await rollBack(deployment)
    while (!news.some(({ what }) => what === 'api')) await new Promise((resolve) => setImmediate(resolve))
    expect(router.status).toMatchObject({
      wanted: 'v1 100 %',
      written: 'v1 90 %, v2 10 %',
      isWritten: false,
      api: 'down',
    })
    expect(await router.drain({ timeoutMs: 50 })).toMatchObject({ drained: false })
    expect(weights(standin)).toEqual([90, 10])
    await standin.up()
    expect(await router.drain()).toEqual({ drained: true })
    expect(weights(standin)).toEqual([100, 0])
    const [, down, up, traffic, ...more] = news
    expect(down).toMatchObject({ what: 'api', from: 'up', to: 'down', severity: 'CRITICAL' })
    expect(down?.message).toMatch(
      /^httproutes\/bot should give v1 100 %, and gives v1 90 %, v2 10 % until it can be written\. Why: .*ECONN/,
    )
    expect(up).toMatchObject({ what: 'api', from: 'down', to: 'up', severity: 'INFO' })
    expect(traffic).toMatchObject({ what: 'traffic', to: 'v1 100 %' })
    expect(more).toEqual([])
  })

  it('of a step that cannot be written is forgotten for the rollback that follows', async () => {
    const { standin, router, news, deployment } = await deploying()
    standin.fail(/PATCH/, answers(500), 1_000)
    await deployment.promote()
    await standin.until(`PATCH ${route}`, 4)
    await rollBack(deployment)
    const tries = standin.count(`PATCH ${route}`)
    await standin.until(`PATCH ${route}`, tries + 2)
    const outages = news.filter(({ what }) => what === 'api')
    expect(outages.map(({ severity, from }) => [severity, from])).toEqual([
      ['WARNING', 'up'],
      ['CRITICAL', 'down'],
    ])
    await router.stop()
    expect(weights(standin)).toEqual([90, 10])
  })

  it('that is wanted otherwise while it is read is written as it is wanted then', async () => {
    const { standin, router, deployment } = await deploying()
    let rolledBack: Promise<unknown> | undefined
    standin.fail(/GET/, (_request, _response, serve) => {
      rolledBack = rollBack(deployment)
      serve()
    })
    await deployment.promote()
    await standin.until(`GET ${route}`, 3)
    await rolledBack
    await router.drain()
    expect(weights(standin)).toEqual([100, 0])
    const written = standin.asked.filter(({ what }) => what === `PATCH ${route}`)
    expect(JSON.stringify(written)).not.toContain('50')
  })

  it.each([
    ['9', 9_000],
    ['3600', 15_000],
  ])('waits as long as an API that has too much to do says, at most maxRetryMs: %s s', async (asked, waitMs) => {
    const standin = await cluster()
    const clock = new FakeClock()
    const blueGreen = bot()
    await blueGreen.start()
    const api = countingReads(standin.api({ clock }))
    const { router, news } = routerOf(standin, blueGreen, { clock, api, maxRetryMs: 15_000 })
    await router.start()
    standin.fail(/GET/, answers(429, { 'retry-after': asked }))
    const deployment = await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 600_000 })
    while (news.length === 0) await new Promise((resolve) => setImmediate(resolve))
    // The route never gave more, so nothing is where it should not be.
    await rollBack(deployment)
    await clock.advance(waitMs - 1)
    expect(api.reads).toBe(2)
    await clock.advance(1)
    expect(api.reads).toBe(3)
    expect(news.map(({ severity }) => severity)).toEqual(['WARNING'])
  })

  it('of a rollback is told at once and waits no longer than usual, whatever patience the API asks for', async () => {
    const clock = new FakeClock()
    const { standin, blueGreen, router, news, deployment } = await deploying([10, 50, 100], {
      clock,
      retryMs: 500,
      maxRetryMs: 60_000,
    })
    news.length = 0
    standin.fail(/GET/, answers(503, { 'retry-after': '50' }), 2)
    await deployment.promote()
    while (news.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(news.map(({ severity }) => severity)).toEqual(['WARNING'])
    await clock.advance(300)
    await rollBack(deployment)
    expect(blueGreen.status.deployment?.percentage ?? 0).toBe(0)
    expect(news.map(({ severity }) => severity)).toEqual(['WARNING', 'CRITICAL'])
    expect(news[1]?.message).toMatch(/^httproutes\/bot should give v1 100 %, and gives v1 90 %, v2 10 % until/)
    const reads = standin.count(`GET ${route}`)
    await clock.advance(199)
    expect(standin.count(`GET ${route}`)).toBe(reads)
    await clock.advance(1)
    await standin.until(`GET ${route}`, reads + 1)
    // Asked for patience once more, it has the second of its usual pauses.
    while (clock.pending !== 1) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(1_000)
    await router.drain()
    expect(weights(standin)).toEqual([100, 0])
    expect(news.map(({ severity }) => severity)).toEqual(['WARNING', 'CRITICAL', 'INFO', 'INFO'])
  })

  it('of a Service that never went over is where it should be when the deployment is rolled back', async () => {
    const { standin, router, news, deployment } = await deploying([10, 50, 100], { target: toService })
    await standin.down()
    await rollBack(deployment)
    while (news.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(news).toMatchObject([{ what: 'api', to: 'down', severity: 'WARNING' }])
    await standin.up()
    await router.drain()
  })

  it('that may have been written is not taken for what was there before', async () => {
    const standin = await cluster()
    const blueGreen = bot()
    await blueGreen.start()
    const { router, news } = routerOf(standin, blueGreen)
    await router.start()
    standin.fail(/PATCH/, doesAndBreaks)
    standin.fail(/GET/, (_request, _response, serve) => serve())
    standin.fail(/GET/, answers(500), 1_000)
    const deployment = await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 600_000 })
    while (news.length === 0) await new Promise((resolve) => setImmediate(resolve))
    await rollBack(deployment)
    expect(router.status).toMatchObject({ wanted: 'v1 100 %', written: 'v1 100 %', isWritten: false })
    expect(await router.drain({ timeoutMs: 50 })).toMatchObject({ drained: false })
    expect(weights(standin)).toEqual([90, 10])
    const words = 'should give v1 100 %, and gives v1 100 % or v1 90 %, v2 10 % until it can be written'
    expect(news.map(({ severity }) => severity)).toEqual(['WARNING', 'CRITICAL'])
    expect(news[1]?.message).toContain(words)
    standin.heal()
    expect(await router.drain()).toEqual({ drained: true })
    expect(weights(standin)).toEqual([100, 0])
    expect(news.at(-1)).toMatchObject({ what: 'traffic', to: 'v1 100 %', severity: 'INFO', why: 'BlueGreen has it so' })
  })

  it('is not written while an older share is on its way', async () => {
    const standin = await cluster()
    const blueGreen = bot()
    await blueGreen.start()
    const { router } = routerOf(standin, blueGreen)
    await router.start()
    let serve = (): void => undefined
    standin.fail(/PATCH/, (_request, _response, serveLater) => (serve = serveLater))
    const deployment = await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 600_000 })
    await standin.until(`PATCH ${route}`, 2)
    await rollBack(deployment)
    expect(router.status).toMatchObject({ wanted: 'v1 100 %', isWritten: false })
    expect(await router.drain({ timeoutMs: 20 })).toEqual({ drained: false, why: 'the API has not answered yet' })
    serve()
    expect(await router.drain()).toEqual({ drained: true })
    expect(weights(standin)).toEqual([100, 0])
  })

  it('is followed no more by a router that stops while the token does not come', async () => {
    const standin = await cluster()
    const blueGreen = bot()
    await blueGreen.start()
    let token = (): Promise<string> => Promise.resolve(standin.token)
    const { router } = routerOf(standin, blueGreen, { api: standin.api({ token: () => token(), ca: standin.ca }) })
    await router.start()
    await new Promise<void>((resolve) => {
      token = () => (resolve(), new Promise(() => undefined))
      void blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 600_000 })
    })
    await router.stop()
    expect(weights(standin)).toEqual([100, 0])
  })

  it('reads again what somebody else has written meanwhile', async () => {
    const { standin, router, deployment } = await deploying()
    standin.fail(/PATCH/, (_request, _response, serve) => {
      standin.edit(route, ({ spec }) => (spec['hostnames'] = ['another.example']))
      serve()
    })
    await deployment.promote()
    await router.drain()
    expect(weights(standin)).toEqual([50, 50])
    expect(standin.object(route).spec['hostnames']).toEqual(['another.example'])
  })

  it('is left alone by a controller that a newer one has followed', async () => {
    const standin = await cluster()
    const store = memoryState()
    const [older, newer] = [bot(store), bot(store)]
    await older.start()
    const { router, news } = routerOf(standin, older)
    await router.start()
    const deployment = await older.deploy('v2', { percentages: [10, 100], stepMs: 600_000 })
    await router.drain()
    await newer.start()
    await routerOf(standin, newer).router.start()
    // It has not heard of the newer one yet, and rolls back.
    void rollBack(deployment).catch(() => undefined)
    while (!news.some(({ what }) => what === 'controller')) await new Promise((resolve) => setImmediate(resolve))
    expect(weights(standin)).toEqual([90, 10])
    expect(news.at(-1)).toMatchObject({ what: 'controller', to: 'FENCED', severity: 'CRITICAL' })
    expect(router.status.isFenced).toBe(true)
    expect(await router.drain()).toMatchObject({ drained: false })
    const reads = standin.count(`GET ${route}`)
    await older.stop()
    expect(standin.count(`GET ${route}`)).toBe(reads)
    // Started again, it is the newest.
    await older.start()
    while (standin.object(route).metadata.annotations?.['evenkeel.dev/epoch'] !== '3')
      await standin.until(`PATCH ${route}`, standin.count(`PATCH ${route}`) + 1)
    await router.drain()
    expect(router.status).toMatchObject({ isFenced: false, isWritten: true })
  })

  it('has started only when it is as it should be, or says at once what is in the way', async () => {
    const standin = await cluster()
    const blueGreen = bot()
    const early = routerOf(standin, blueGreen, { startTimeoutMs: 20 }).router
    expect(String(await failure(early.start()))).toContain('BlueGreen does not drive; call its start() first')
    await blueGreen.start()
    const { router } = routerOf(standin, blueGreen)
    await Promise.all([router.start(), router.start()])
    await router.start()
    expect(standin.count(`PATCH ${route}`)).toBe(1)
    const refused = async (options: Partial<TrafficRouterOptions>): Promise<unknown> =>
      failure(routerOf(standin, blueGreen, options).router.start())
    const none = httpRouteWeights({ route: 'none', backends })
    expect(await refused({ target: none })).toMatchObject({ code: 'KUBERNETES_REFUSED', status: 404 })
    const foreign = httpRouteWeights({ route: 'bot', backends: { v1: 'bot-red' } })
    expect(String(await refused({ target: foreign }))).toContain('has no rule whose backendRefs name bot-red')
    const unnamed = serviceSelector({ service: 'bot', versions: { v2: { slot: 'green' } } })
    expect(await refused({ target: unnamed })).toMatchObject({ code: 'KUBERNETES_OBJECT', object: 'services/bot' })
    standin.may = (verb) => !verb.startsWith('PATCH')
    await blueGreen.stop()
    await blueGreen.start()
    expect(await refused({})).toMatchObject({ code: 'KUBERNETES_REFUSED', status: 403 })
    await standin.down()
    expect(await refused({ startTimeoutMs: 50 })).toMatchObject({ code: 'KUBERNETES_UNAVAILABLE' })
  })

  it('of two versions behind one Service cannot be divided, which is told as CRITICAL', async () => {
    const standin = await cluster()
    const blueGreen = bot()
    await blueGreen.start()
    const { router, news } = routerOf(standin, blueGreen)
    await router.start()
    for (const [version, why] of [
      ['v3', 'has "bot-blue" for both "v1" and "v3"'],
      ['v4', 'has no backend for version "v4"'],
    ] as const) {
      news.length = 0
      const deployment = await blueGreen.deploy(version, { percentages: [10, 100], stepMs: 600_000 })
      while (news.length === 0) await new Promise((resolve) => setImmediate(resolve))
      expect(news[0]).toMatchObject({ what: 'api', to: 'down', severity: 'CRITICAL' })
      expect(news[0]?.why).toContain(why)
      await rollBack(deployment)
      await router.drain()
      expect(weights(standin)).toEqual([100, 0])
    }
  })

  it('stays as it is when the router stops, which it does at any time', async () => {
    const { standin, blueGreen, router, deployment } = await deploying()
    standin.fail(/GET/, hangs)
    await deployment.promote()
    await standin.until(`GET ${route}`, 3)
    await Promise.all([router.stop(), router.stop()])
    await rollBack(deployment)
    expect(weights(standin)).toEqual([90, 10])
    expect(await router.drain()).toMatchObject({ drained: false })
    await failure(router.drain({ signal: AbortSignal.abort(new Error('enough')) }))
    await router.start()
    expect(weights(standin)).toEqual([100, 0])
    expect(blueGreen.listenerCount('change')).toBe(1)
  })

  it('is written although a listener throws', async () => {
    const { standin, router, deployment } = await deploying()
    const warned = new Promise((resolve) => process.once('warning', resolve))
    router.on('change', () => {
      throw new Error('of a listener')
    })
    await deployment.promote()
    await router.drain()
    expect(weights(standin)).toEqual([50, 50])
    expect(await warned).toMatchObject({ code: 'EVENKEEL_LISTENER' })
  })
})

it('options that make no sense are refused', () => {
  const wrong: [() => unknown, string][] = [
    [() => serviceSelector({ service: 'A b', versions: {} }), 'service must be a name of Kubernetes'],
    [() => serviceSelector({ service: 'bot', versions: {} }), 'versions must be an object'],
    [() => serviceSelector({ service: 'bot', versions: { v1: {} } }), 'versions: "v1" needs labels'],
    [
      () => serviceSelector({ service: 'bot', versions: { v1: { slot: 'a' }, v2: { color: 'b' } } }),
      'has the labels color',
    ],
    [() => serviceSelector({ service: 'bot', versions: { v1: { a: 'b' } }, flipAtPercentage: 0 }), 'flipAtPercentage'],
    [() => httpRouteWeights({ route: 'bot', backends: {} }), 'backends must be an object'],
    [() => httpRouteWeights({ route: 'bot', backends: { v1: '../x' } }), 'the Service of "v1"'],
    [() => new TrafficRouter({ blueGreen: bot(), target: toRoute }), 'This is no pod'],
    [() => new TrafficRouter({ blueGreen: {} as never, target: toRoute }), 'blueGreen.on must be a function'],
    [() => new TrafficRouter({ blueGreen: bot(), target: toRoute, checkMs: NaN }), 'checkMs'],
  ]
  for (const [make, words] of wrong) expect(make).toThrow(words)
})
