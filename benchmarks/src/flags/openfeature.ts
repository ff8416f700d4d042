import { EvenkeelProvider } from '@evenkeel/feature-flags/openfeature'
import { OpenFeature, type Client, type Provider, type ResolutionDetails } from '@openfeature/server-sdk'
import { measure, print, type Candidate } from '../measure.js'
import { asked, askers, turn } from './asked-flag.js'
import { ours } from './ours.js'

/** A provider that does nothing: what is left is the SDK. */
class NoProvider implements Provider {
  readonly metadata = { name: 'nothing' } as const
  readonly runsOn = 'server'
  readonly #details: Omit<ResolutionDetails<boolean>, 'value'>

  /** @param details - what it tells beside the value, which the SDK copies */
  constructor(details: Omit<ResolutionDetails<boolean>, 'value'> = {}) {
    this.#details = details
  }

  resolveBooleanEvaluation(): Promise<ResolutionDetails<boolean>> {
    return Promise.resolve({ value: false, ...this.#details })
  }

  resolveStringEvaluation(_name: string, value: string): Promise<ResolutionDetails<string>> {
    return Promise.resolve({ value })
  }

  resolveNumberEvaluation(_name: string, value: number): Promise<ResolutionDetails<number>> {
    return Promise.resolve({ value })
  }

  resolveObjectEvaluation<T>(_name: string, value: T): Promise<ResolutionDetails<T>> {
    return Promise.resolve({ value })
  }
}

/** The SDK of OpenFeature with our provider, beside one that does nothing. */
export async function openFeature(): Promise<void> {
  await OpenFeature.setProviderAndWait('nothing', new NoProvider())
  const metadata = Object.freeze({ reason: 'rule', decidedBy: asked })
  const details = { variant: 'off', reason: 'TARGETING_MATCH', flagMetadata: metadata }
  await OpenFeature.setProviderAndWait('details', new NoProvider(details))
  await OpenFeature.setProviderAndWait('evenkeel', new EvenkeelProvider({ flags: ours() }))
  const contexts = askers(10_000).map(({ id, tier }) => ({ targetingKey: id, guildId: id, tier }))
  let yes = 0
  const candidate = (name: string, client: Client): Candidate => ({
    name,
    async run(count) {
      for (let i = 0; i < count; i++) if (await client.getBooleanValue(asked, false, turn(contexts, i))) yes++
    },
  })
  try {
    print(
      'flags: OpenFeature getBooleanValue',
      await measure(
        [
          candidate('floor: a provider that does nothing', OpenFeature.getClient('nothing')),
          candidate('the same, telling as much as ours does', OpenFeature.getClient('details')),
          candidate('EvenkeelProvider', OpenFeature.getClient('evenkeel')),
        ],
        20_000,
        25,
      ),
    )
    if (yes === 0) throw new Error('Nobody was answered with yes: something else was measured')
  } finally {
    await OpenFeature.close()
  }
}
