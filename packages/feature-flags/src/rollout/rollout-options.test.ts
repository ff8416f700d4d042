import { describe, expect, it } from 'vitest'
import { FakeFlags } from '../test-support/fake-flags.js'
import { FaultyRolloutStore } from '../test-support/faulty-rollout-store.js'
import { plan } from '../test-support/rollout-bot.js'
import { rolloutDefaults, type RolloutOptions } from './rollout-options.js'
import { readOptions } from './rollout-settings.js'

const sound: RolloutOptions = { flags: new FakeFlags(), flag: 'newSearch', plan, store: new FaultyRolloutStore() }

const withVariants = new FakeFlags()
withVariants.isEnabled = () => {
  throw new TypeError('"newSearch" is no flag that is on or off')
}

/** Options of which some are of another type, as JavaScript allows. */
function withWrong(wrong: Record<string, unknown>): RolloutOptions {
  return { ...sound, ...wrong }
}

function storeOf(scope: unknown): Record<string, unknown> {
  return { store: { scope, entry: () => undefined, compareAndSet: () => undefined, delete: () => undefined } }
}

describe('the options of a rollout', () => {
  it('have defaults', () => {
    expect(readOptions(sound)).toMatchObject({ ...rolloutDefaults, key: 'rollout/newSearch', by: 'guild' })
    expect(readOptions(withWrong({ intervalMs: undefined })).intervalMs).toBe(15_000)
  })

  it.each<[string, Record<string, unknown>, string]>([
    ['a misspelt option', { intervallMs: 1 }, 'Rollout has no option "intervallMs"; did you mean "intervalMs"?'],
    ['no flags', { flags: {} }, 'flags.has must be a function'],
    ['an unknown flag', { flag: 'newSaerch' }, "There is no flag 'newSaerch' to roll out"],
    [
      'a store without compare-and-set',
      { store: { scope: 'cluster', entry: () => undefined } },
      'pass a collection of @evenkeel/storage-adapter',
    ],
    ['a store of one process', storeOf('process'), "If there are none, say so: scope: 'process'"],
    ['a store of a machine for several', { ...storeOf('machine'), scope: 'cluster' }, 'agrees only within one machine'],
    ['a store of no scope', storeOf(undefined), "store.scope must be 'process', 'machine' or 'cluster', not undefined"],
    ['a scope that is none', { scope: 'world' }, "scope must be 'process', 'machine' or 'cluster', not 'world'"],
    ['no plan', { plan: undefined }, 'A plan must be'],
    ['a duration that is none', { timeoutMs: Infinity }, 'timeoutMs must be milliseconds above 0'],
    ['no batch', { batchGuilds: 0 }, 'batchGuilds must be a whole number of guilds from 1, not 0'],
    ['a lease that is too short', { leaseMs: 20_000 }, 'leaseMs is 20000, less than twice intervalMs'],
    ['a check that is no function', { check: true }, 'check must be a function'],
    ['a validation that is no function', { validate: { data: 1 } }, 'validate: "data" is not a function'],
    ['a validation that is there already', { validate: { 'flag is off': () => true } }, 'is always looked at'],
    ['no time to recover', { maxFallenBackMs: 0 }, 'maxFallenBackMs must be milliseconds above 0'],
    [
      'a trigger that nothing measures',
      { plan: { ...plan, triggers: { queryTimeouts: 5 } } },
      'trigger `queryTimeouts` can never fire without the option `measure`, which has to give `database`',
    ],
    ['a flag with variants', { flags: withVariants }, 'is no flag that is on or off'],
    ['neither guilds nor users', { by: 'shard' }, "by must be 'guild' or 'user', not 'shard'"],
    ['a version that is a number', { version: 2 }, 'version must be a string, not 2'],
  ])('refuse %s', (_, wrong, message) => {
    expect(() => readOptions(withWrong(wrong))).toThrow(message)
  })

  it('take a trigger that is measured', () => {
    const triggers = { memoryIncrease: 0.3, connectionFailures: 3, queryTimeouts: 5, minSatisfaction: 4 }
    for (const [name, value] of Object.entries(triggers)) {
      const measured = { plan: { ...plan, triggers: { [name]: value } }, measure: () => ({}) }
      expect(readOptions(withWrong(measured)).plan.triggers).toEqual({ [name]: value })
      expect(() => readOptions(withWrong({ ...measured, measure: undefined }))).toThrow(RangeError)
    }
  })

  it('take a store of one process when that is said, and one that reaches further', () => {
    expect(readOptions(withWrong({ ...storeOf('process'), scope: 'process' })).isAlone).toBe(true)
    expect(readOptions(withWrong({ ...storeOf('cluster'), scope: 'machine' })).isAlone).toBe(false)
  })

  it('keep hostile names of flags apart, and refuse one that no store can hold', () => {
    for (const flag of ['__proto__', 'a/tally/b', 'über %_*', '\u0000']) {
      const { key } = readOptions({ ...sound, flags: new FakeFlags(undefined, flag), flag })
      expect(key.slice('rollout/'.length)).not.toMatch(/\/|%(?![0-9A-F]{2})/)
    }
    const lone = '\ud800'
    expect(() => readOptions({ ...sound, flags: new FakeFlags(undefined, lone), flag: lone })).toThrow(
      'no well-formed text',
    )
  })

  it('tell an edited plan from the one before, and what it is judged by from the rest', () => {
    const of = (changed: object): string[] => {
      return readOptions(withWrong({ plan: { ...plan, ...changed } })).fingerprint.split('-')
    }
    const [phases, triggers] = of({})
    expect(of({})).toEqual([phases, triggers])
    expect(of({ triggers: {} })[0]).toBe(phases)
    expect(of({ triggers: {} })[1]).not.toBe(triggers)
    expect(of({ phases: plan.phases.slice(0, 2) })).toEqual([expect.not.stringMatching(phases ?? ''), triggers])
  })
})
