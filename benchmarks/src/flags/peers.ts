import { GrowthBookClient } from '@growthbook/growthbook'
import { init, type LDContext, type LDLogger } from '@launchdarkly/node-server-sdk'
import { TestData } from '@launchdarkly/node-server-sdk/integrations'
import { FlagdCore } from '@openfeature/flagd-core'
import { InMemoryProvider, OpenFeature, type EvaluationContext } from '@openfeature/server-sdk'
import { InMemStorageProvider, Unleash } from 'unleash-client'
import type { Candidate } from '../measure.js'
import { asked, forEachFlag, percentage, tiers, turn, type Answers, type Asker } from './asked-flag.js'
import { bareIsEnabled } from './floor.js'

/** Another library, asked for the same flag in its own way. */
export interface Peer extends Candidate {
  stop?(): void | Promise<void>
}

/** flagd in this process: rules as JSONLogic, compiled to functions. */
export function flagd(all: readonly Asker[], answers: Answers): Peer {
  const core = new FlagdCore()
  const targeting = {
    if: [
      { in: [{ var: 'tier' }, tiers] },
      {
        fractional: [
          ['on', percentage],
          ['off', 100 - percentage],
        ],
      },
      'off',
    ],
  }
  const flag = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off', targeting }
  core.setConfigurations(JSON.stringify({ flags: forEachFlag(() => flag) }))
  const contexts = all.map(({ id, tier }) => ({ targetingKey: id, tier }))
  return {
    name: 'flagd-core resolveBooleanEvaluation',
    share: 0.2,
    run(count) {
      let yes = 0
      for (let i = 0; i < count * 0.2; i++)
        if (core.resolveBooleanEvaluation(asked, false, turn(contexts, i)).value) yes++
      answers.add(count * 0.2, yes)
    },
  }
}

/** GrowthBook, one client for all users. */
export function growthbook(all: readonly Asker[], answers: Answers): Peer {
  const features = forEachFlag((seed) => ({
    defaultValue: false,
    rules: [
      {
        condition: { tier: { $in: [...tiers] } },
        ...{ force: true, coverage: percentage / 100, hashAttribute: 'id', hashVersion: 2, seed },
      },
    ],
  }))
  const client = new GrowthBookClient().initSync({ payload: { features } })
  const contexts = all.map(({ id, tier }) => ({ attributes: { id, tier } }))
  return {
    name: 'GrowthBookClient isOn',
    share: 0.1,
    run(count) {
      let yes = 0
      for (let i = 0; i < count * 0.1; i++) if (client.isOn(asked, turn(contexts, i))) yes++
      answers.add(count * 0.1, yes)
    },
    stop: () => client.destroy(),
  }
}

/** Unleash without its metrics. It is given its flags beforehand, and its server does not exist. */
export async function unleash(all: readonly Asker[], answers: Answers): Promise<Peer> {
  const client = new Unleash({
    appName: 'benchmark',
    url: 'http://127.0.0.1:9/api',
    disableMetrics: true,
    disableAutoStart: true,
    skipInstanceCountWarning: true,
    refreshInterval: 0,
    storageProvider: new InMemStorageProvider(),
    bootstrap: {
      data: Object.entries(
        forEachFlag((name) => ({
          ...{ name, description: '', project: 'default', enabled: true, stale: false, impressionData: false },
          ...{ type: 'release', variants: [] },
          strategies: [
            {
              name: 'gradualRolloutUserId',
              parameters: { percentage: String(percentage), groupId: name },
              segments: [],
              constraints: [
                { contextName: 'tier', operator: 'IN', values: [...tiers], inverted: false, caseInsensitive: false },
              ],
            },
          ],
        })),
      ).map(([, flag]) => flag) as never,
    },
  })
  client.on('error', () => undefined)
  client.on('warn', () => undefined)
  await client.start()
  const contexts = all.map(({ id, tier }) => ({ userId: id, properties: { tier } }))
  return {
    name: 'unleash-client isEnabled, metrics off',
    share: 0.05,
    run(count) {
      let yes = 0
      for (let i = 0; i < count * 0.05; i++) if (client.isEnabled(asked, turn(contexts, i))) yes++
      answers.add(count * 0.05, yes)
    },
    stop: () => client.destroy(),
  }
}

/** LaunchDarkly on its own test data, sending no events. */
export async function launchDarkly(all: readonly Asker[], answers: Answers): Promise<Peer> {
  const data = new TestData()
  const rollout = {
    contextKind: 'user',
    bucketBy: 'key',
    variations: [
      { variation: 0, weight: percentage * 1_000 },
      { variation: 1, weight: (100 - percentage) * 1_000 },
    ],
  }
  const clauses = [{ attribute: 'tier', op: 'in', values: tiers, negate: false, contextKind: 'user' }]
  for (const flag of Object.values(
    forEachFlag((key) => ({
      ...{ key, salt: key, version: 1, on: true, variations: [true, false], offVariation: 1 },
      fallthrough: { variation: 1 },
      rules: [{ id: 'rule', clauses, rollout }],
    })),
  )) {
    void data.usePreconfiguredFlag(flag)
  }
  const silent = (): undefined => undefined
  const logger: LDLogger = { error: silent, warn: silent, info: silent, debug: silent }
  const options = { sendEvents: false, diagnosticOptOut: true, logger }
  const client = init('sdk-key', { ...options, updateProcessor: data.getFactory() })
  await client.waitForInitialization({ timeout: 10 })
  const contexts: LDContext[] = all.map(({ id, tier }) => ({ kind: 'user', key: id, tier }))
  return {
    name: 'LaunchDarkly variation, TestData, no events',
    share: 0.05,
    async run(count) {
      let yes = 0
      for (let i = 0; i < count * 0.05; i++)
        if ((await client.variation(asked, turn(contexts, i), false)) === true) yes++
      answers.add(count * 0.05, yes)
    },
    stop: () => client.close(),
  }
}

/** The SDK of OpenFeature with its own provider in memory, whose rule is the floor of this benchmark. */
export async function openFeatureInMemory(all: readonly Asker[], answers: Answers): Promise<Peer> {
  const variantOf = (name: string) => (context: EvaluationContext) => {
    const guildId = context.targetingKey ?? ''
    return bareIsEnabled(name, { guildId, attributes: { tier: context['tier'] as string } }) ? 'on' : 'off'
  }
  const provider = new InMemoryProvider(
    forEachFlag((name) => ({
      variants: { on: true, off: false },
      defaultVariant: 'off',
      disabled: false,
      contextEvaluator: variantOf(name),
    })),
  )
  await OpenFeature.setProviderAndWait('in-memory', provider)
  const client = OpenFeature.getClient('in-memory')
  const contexts = all.map(({ id, tier }) => ({ targetingKey: id, tier }))
  return {
    name: 'OpenFeature getBooleanValue, in memory',
    share: 0.02,
    async run(count) {
      let yes = 0
      for (let i = 0; i < count * 0.02; i++) if (await client.getBooleanValue(asked, false, turn(contexts, i))) yes++
      answers.add(count * 0.02, yes)
    },
    stop: () => OpenFeature.close(),
  }
}
