import { Answers, asked, askers, turn } from './flags/asked-flag.js'
import { bareFlags, bareIsEnabled, bareIsEnabledUnsigned, BareScope } from './flags/floor.js'
import { contextsOf, ours } from './flags/ours.js'
import { flagd, growthbook, launchDarkly, openFeatureInMemory, unleash } from './flags/peers.js'
import { measure, print, type Candidate } from './measure.js'

const OTHERS = [flagd, growthbook, unleash, launchDarkly, openFeatureInMemory]

/** `isEnabled` beside other libraries: one flag of a hundred, a rule that matches, 25 % of ten thousand guilds. */
export async function isEnabled(): Promise<void> {
  const all = askers(10_000)
  const contexts = contextsOf(all)
  const flags = ours()
  const handle = flags.flag(asked)
  const answers = new Answers()
  const candidates: Candidate[] = [
    {
      name: 'floor: three lookups, hash of the id',
      run(count) {
        let yes = 0
        for (let i = 0; i < count; i++) if (bareIsEnabled(asked, turn(contexts, i))) yes++
        answers.add(count, yes)
      },
    },
    {
      name: 'the floor with an unsigned hash',
      run(count) {
        let yes = 0
        for (let i = 0; i < count; i++) if (bareIsEnabledUnsigned(asked, turn(contexts, i))) yes++
        answers.add(count, yes)
      },
    },
    {
      name: 'evenkeel isEnabled(name, context)',
      run(count) {
        let yes = 0
        for (let i = 0; i < count; i++) if (flags.isEnabled(asked, turn(contexts, i))) yes++
        answers.add(count, yes)
      },
    },
    {
      name: 'evenkeel handle.isEnabled(context)',
      run(count) {
        let yes = 0
        for (let i = 0; i < count; i++) if (handle.isEnabled(turn(contexts, i))) yes++
        answers.add(count, yes)
      },
    },
  ]
  const peers = []
  for (const make of OTHERS) peers.push(await make(all, answers))
  try {
    const title = 'flags: isEnabled, one rule and 25 %, 100 flags, 10,000 guilds'
    print(title, await measure([...candidates, ...peers], 1_000_000))
    answers.check(title)
  } finally {
    for (const peer of peers) await peer.stop?.()
  }
}

/** The flags of one handler: the id is hashed once, and each answer comes from the same moment. */
export async function scoped(): Promise<void> {
  const contexts = contextsOf(askers(10_000))
  const flags = ours()
  const handle = flags.flag(asked)
  const bare = bareFlags.get(asked)
  if (bare === undefined) throw new Error('The floor has no such flag')
  const bareScopes = contexts.map((context) => new BareScope(context))
  const scopes = contexts.map((context) => flags.for(context))
  const answers = new Answers()
  const byName = await measure(
    [
      {
        name: 'floor: three lookups, a hash at hand',
        run(count) {
          let yes = 0
          for (let i = 0; i < count; i++) if (turn(bareScopes, i).isEnabled(asked)) yes++
          answers.add(count, yes)
        },
      },
      {
        name: 'evenkeel scope.isEnabled(name)',
        run(count) {
          let yes = 0
          for (let i = 0; i < count; i++) if (turn(scopes, i).isEnabled(asked)) yes++
          answers.add(count, yes)
        },
      },
    ],
    1_000_000,
  )
  print('flags: scoped by name', byName)
  const byHandle = await measure(
    [
      {
        name: 'floor: two lookups, a hash at hand',
        run(count) {
          let yes = 0
          for (let i = 0; i < count; i++) if (turn(bareScopes, i).isOn(bare)) yes++
          answers.add(count, yes)
        },
      },
      {
        name: 'evenkeel scope.isEnabled(handle)',
        run(count) {
          let yes = 0
          for (let i = 0; i < count; i++) if (turn(scopes, i).isEnabled(handle)) yes++
          answers.add(count, yes)
        },
      },
    ],
    1_000_000,
  )
  print('flags: scoped by handle', byHandle)
  answers.check('flags: scoped')
}
