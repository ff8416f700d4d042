import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { asked, askers, turn } from './asked-flag.js'
import { bareIsEnabled } from './floor.js'
import { contextsOf, ours } from './ours.js'

const QUESTIONS = 1_000_000
const ROUNDS = 7

/** How many bytes an answer leaves to be collected: medians of rounds between two collections. */
export function allocation(): void {
  const contexts = contextsOf(askers(10_000))
  const flags = ours()
  const handle = flags.flag(asked)
  const scopes = contexts.map((context) => flags.for(context))
  let yes = 0
  const bytes = (name: string, ask: (count: number) => void): void => {
    // Compiled first: what the compiler leaves is none of its concern.
    for (let i = 0; i < 3; i++) ask(QUESTIONS)
    const rounds = Array.from({ length: ROUNDS }, () => {
      collect()
      const before = usedBytes()
      ask(QUESTIONS)
      return (usedBytes() - before) / QUESTIONS
    }).sort((a, b) => a - b)
    const [least, median, most] = [0, (ROUNDS - 1) / 2, ROUNDS - 1].map((at) => rounds[at]?.toFixed(3))
    console.log(`  ${name.padEnd(44)} ${median} bytes (${least} .. ${most})`)
  }
  console.log('\nflags: bytes that one answer allocates')
  bytes('floor', (count) => {
    for (let i = 0; i < count; i++) if (bareIsEnabled(asked, turn(contexts, i))) yes++
  })
  bytes('evenkeel isEnabled(name, context)', (count) => {
    for (let i = 0; i < count; i++) if (flags.isEnabled(asked, turn(contexts, i))) yes++
  })
  bytes('evenkeel handle.isEnabled(context)', (count) => {
    for (let i = 0; i < count; i++) if (handle.isEnabled(turn(contexts, i))) yes++
  })
  bytes('evenkeel scope.isEnabled(name)', (count) => {
    for (let i = 0; i < count; i++) if (turn(scopes, i).isEnabled(asked)) yes++
  })
  bytes('evenkeel scope.isEnabled(handle)', (count) => {
    for (let i = 0; i < count; i++) if (turn(scopes, i).isEnabled(handle)) yes++
  })
  if (yes < 0) throw new Error('Never: the sum keeps the loops from being left out')
}

/** So few bytes may be allocated that nothing is collected meanwhile: then this only grows. */
function usedBytes(): number {
  return getHeapSpaceStatistics()
    .filter(({ space_name: name }) => name.startsWith('new') || name.startsWith('old'))
    .reduce((sum, { space_used_size: used }) => sum + used, 0)
}

function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
}
