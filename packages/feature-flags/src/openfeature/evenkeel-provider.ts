import type {
  EvaluationContext,
  JsonValue,
  Provider,
  ProviderMetadata,
  ResolutionDetails,
  ServerProviderEvents,
} from '@openfeature/server-sdk'
import { audienceOf, type TargetingKeyOf } from './audience.js'
import { checkOptions, evenkeelProviderDefaults, type EvenkeelProviderOptions } from './options.js'
import type { ProvidedChange, ProvidedFlags } from './ports.js'
import { ProviderNews } from './provider-news.js'
import { Origins, refusal, refusalOf, variantName } from './resolution.js'

/** From `initialize` to `onClose`. The SDK makes of what is told before it is ready what it likes. */
interface Session {
  isReady: boolean
}

/**
 * Lets the OpenFeature server SDK answer from flags.
 *
 * @remarks
 * An evaluation context's `targetingKey` is the user's id, `guildId` and `userId` are what they say, and rules see all
 * of it as attributes. Answers tell the flag and the rule that decided in `flagMetadata`: `{ reason, decidedBy }`.
 *
 * *Gotchas*: before the SDK has set the provider, or after a start that failed, the flags answer as they do before
 * `start()`. The SDK forgets that flags are stale when it binds a provider that is in use to one more domain.
 *
 * @see https://openfeature.dev/specification/sections/providers
 *
 * @example
 * ```ts
 * import { FeatureFlags } from '@evenkeel/feature-flags'
 * import { EvenkeelProvider } from '@evenkeel/feature-flags/openfeature'
 * import { OpenFeature } from '@openfeature/server-sdk'
 *
 * const flags = new FeatureFlags({ flags: { newSearch: { percentage: 25 } } })
 * await OpenFeature.setProviderAndWait(new EvenkeelProvider({ flags }))
 * const client = OpenFeature.getClient()
 * const context = { targetingKey: '53908099506183680', guildId: '197038439483310086' }
 * console.log(await client.getBooleanValue('newSearch', false, context)) // => true
 * await OpenFeature.close()
 * ```
 */
export class EvenkeelProvider implements Provider {
  /** How the SDK names this provider. */
  readonly metadata: ProviderMetadata = { name: 'evenkeel' }
  /** Where this provider runs. */
  readonly runsOn = 'server'
  /** Tells the SDK that flags changed, that they may be out of date, and that they are not any more. */
  readonly events: ProviderNews = new ProviderNews()
  /** Takes what is tracked; there only if `onTrack` was given. */
  readonly track?: NonNullable<Provider['track']>
  readonly #flags: ProvidedFlags
  readonly #targetingKeyOf: TargetingKeyOf
  readonly #isManaged: boolean
  readonly #origins = new Origins()
  /** The names of changed flags that have not been told yet, each with its sentence. */
  readonly #untold = new Map<string, string>()
  #session: Session | undefined
  readonly #listener = (change: ProvidedChange): void => this.#hear(change)

  /**
   * @param options - the flags, and how contexts are read
   * @throws TypeError when an option has a value that it cannot have
   */
  constructor(options: EvenkeelProviderOptions) {
    const { flags, targetingKey, managed, onTrack } = checkOptions(options)
    this.#flags = flags
    this.#targetingKeyOf = targetingKey ?? evenkeelProviderDefaults.targetingKey
    this.#isManaged = managed ?? evenkeelProviderDefaults.managed
    if (onTrack !== undefined) {
      this.track = (name, context, details) =>
        onTrack({ name, audience: audienceOf(context, this.#targetingKeyOf), details })
    }
  }

  /**
   * Called by the SDK when it takes this provider: follows the flags, and starts them.
   *
   * @returns rejects as the start of the flags does; they still answer, and are followed
   */
  async initialize(): Promise<void> {
    if (this.#session === undefined) this.#flags.on('change', this.#listener)
    const session: Session = { isReady: false }
    this.#session = session
    try {
      if (this.#isManaged) await this.#flags.start?.()
    } finally {
      session.isReady = true
    }
    // The SDK says READY once this has settled, and what it says last holds.
    if (this.#isStale) setImmediate(() => this.#tellIfStale(session))
  }

  /** Called by the SDK when it lets this provider go: stops the flags, and follows them no more. */
  async onClose(): Promise<void> {
    if (this.#session === undefined) return
    this.#session = undefined
    this.#flags.off('change', this.#listener)
    this.#untold.clear()
    if (this.#isManaged) await this.#flags.stop?.()
  }

  /**
   * A flag that is on or off.
   *
   * @param flagKey - its name
   * @param defaultValue - the answer where there is none
   * @param context - for whom
   */
  resolveBooleanEvaluation(
    flagKey: string,
    defaultValue: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    return Promise.resolve(this.#resolve(flagKey, defaultValue, context, 'boolean'))
  }

  /**
   * A flag with words for variants.
   *
   * @param flagKey - its name
   * @param defaultValue - the answer where there is none
   * @param context - for whom
   */
  resolveStringEvaluation(
    flagKey: string,
    defaultValue: string,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<string>> {
    return Promise.resolve(this.#resolve(flagKey, defaultValue, context, 'string'))
  }

  /**
   * A flag with numbers for variants.
   *
   * @param flagKey - its name
   * @param defaultValue - the answer where there is none
   * @param context - for whom
   */
  resolveNumberEvaluation(
    flagKey: string,
    defaultValue: number,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<number>> {
    return Promise.resolve(this.#resolve(flagKey, defaultValue, context, 'number'))
  }

  /**
   * A flag with objects or lists for variants. They are frozen.
   *
   * @param flagKey - its name
   * @param defaultValue - the answer where there is none
   * @param context - for whom
   */
  resolveObjectEvaluation<T extends JsonValue>(
    flagKey: string,
    defaultValue: T,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<T>> {
    return Promise.resolve(this.#resolve(flagKey, defaultValue, context, 'object'))
  }

  #resolve<T>(flagKey: string, defaultValue: T, context: EvaluationContext, type: string): ResolutionDetails<T> {
    try {
      if (!this.#flags.has(flagKey)) {
        return refusal(defaultValue, 'FLAG_NOT_FOUND', `There is no flag ${JSON.stringify(String(flagKey))}`)
      }
      const audience = audienceOf(context, this.#targetingKeyOf)
      const answer = this.#flags.evaluate?.(flagKey, audience) ?? this.#flags.explain(flagKey, audience)
      if (typeof answer.value !== type) {
        const message = `Flag ${JSON.stringify(flagKey)} answers with a ${typeof answer.value}, not a ${type}`
        return refusal(defaultValue, 'TYPE_MISMATCH', message)
      }
      const origin = this.#origins.of(answer.decidedBy ?? flagKey, answer.reason)
      return {
        value: answer.value as T,
        variant: variantName(answer),
        reason: this.#isStale ? 'STALE' : origin.reason,
        flagMetadata: origin.metadata,
      }
    } catch (error) {
      return refusalOf(defaultValue, error)
    }
  }

  get #isStale(): boolean {
    return this.#flags.feed === 'stale'
  }

  #hear(change: ProvidedChange): void {
    if (this.#session?.isReady !== true) return
    if (change.aspect !== 'feed') return this.#noteChanged(change)
    if (change.to === 'stale') this.#emit('PROVIDER_STALE', change.message)
    else if (change.to === 'live') this.#emit('PROVIDER_READY', change.message)
  }

  /** Changes that come together, as from one file, are told together. */
  #noteChanged({ what, message }: ProvidedChange): void {
    if (this.#untold.size === 0) queueMicrotask(() => this.#tellChanged())
    this.#untold.set(what, message)
  }

  #tellChanged(): void {
    // Empty when the provider was closed meanwhile.
    if (this.#untold.size === 0) return
    const names = [...this.#untold.keys()]
    const [message] = this.#untold.size === 1 ? this.#untold.values() : [`${names.length} flags changed`]
    const flagsChanged = this.#untold.has('*') ? [...(this.#flags.names ?? [])] : names
    this.#untold.clear()
    this.events.emit('PROVIDER_CONFIGURATION_CHANGED' as ServerProviderEvents.ConfigurationChanged, {
      ...(flagsChanged.length === 0 ? {} : { flagsChanged }),
      ...(message === undefined ? {} : { message }),
    })
  }

  #tellIfStale(session: Session): void {
    if (session !== this.#session || !this.#isStale) return
    this.#emit('PROVIDER_STALE', 'The flags may be out of date')
  }

  #emit(event: `${ServerProviderEvents}`, message: string): void {
    this.events.emit(event as ServerProviderEvents, { message })
  }
}
