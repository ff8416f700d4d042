/** What lives in a run: whole bots on one token; one gateway owner with its versions; two such owners on one token. */
export type Kind = 'bots' | 'owner' | 'pair'

/** Where the processes meet. */
export type Store = 'sqlite' | 'redis' | 'postgres'

export interface Action {
  /** The pause before it, in ms. */
  readonly afterMs: number
  readonly what: string
  /** Which of those that it may be done to, from 0 up to but not including 1. */
  readonly pick: number
  /** For a freeze, or a death on the way up. */
  readonly ms: number
  /** The line for a controller. */
  readonly line?: string
}

/** One run, whole: the same seed makes the same plan. How the machine schedules the processes is not in it. */
export interface Plan {
  readonly run: number
  readonly kind: Kind
  readonly actions: readonly Action[]
  readonly perSecond: number
  /** Each event comes twice. */
  readonly isDoubled: boolean
  /** Kills also the only one that has got an event. What is lost by that is declared. */
  readonly isReckless: boolean
}

const atBots: readonly (readonly [string, number])[] = [
  ['start', 3],
  ['doubleStart', 1],
  ['takeOver', 3],
  ['leave', 3],
  ['killOwner', 7],
  ['killOther', 3],
  ['killNewcomer', 3],
  ['freezeOwner', 2],
  ['freezeOther', 1],
  ['blink', 1],
  ['reconnect', 1],
  ['jump', 1],
]

const atVersions: readonly (readonly [string, number])[] = [
  ['deploy', 7],
  ['doubleDeploy', 2],
  ['rollback', 3],
  ['takeBack', 1],
  ['batches', 1],
  ['promote', 2],
  ['hold', 1],
  ['resume', 1],
  ['killVersion', 8],
  ['freezeVersion', 1],
  ['stumble', 2],
  ['flap', 1],
  ['absurd', 1],
  ['jump', 1],
  ['reconnect', 1],
]

const menus: Readonly<Record<Kind, readonly (readonly [string, number])[]>> = {
  bots: atBots,
  owner: [...atVersions, ['killOwner', 2], ['blink', 1]],
  pair: [
    ...atVersions,
    ['start', 2],
    ['takeOver', 3],
    ['leave', 2],
    ['killOwner', 5],
    ['killOther', 2],
    ['freezeOwner', 3],
    ['freezeOther', 1],
    ['blink', 1],
  ],
}

export function makePlan(run: number, kind: Kind, random: () => number): Plan {
  const count = 3 + Math.floor(random() * 4)
  const actions = Array.from({ length: count }, () => makeAction(kind, random))
  return {
    run,
    kind,
    actions,
    perSecond: 15 + Math.floor(random() * 50),
    isDoubled: random() < 0.1,
    isReckless: kind === 'owner' || random() < 0.05,
  }
}

function makeAction(kind: Kind, random: () => number): Action {
  const what = weighted(menus[kind], random)
  // Shorter than a lease, about as long, or far longer.
  const frozenMs = [50 + random() * 700, 900 + random() * 900, 1_800 + random() * 800][Math.floor(random() * 3)] ?? 0
  const ms = Math.round(what.startsWith('freeze') ? frozenMs : random() * 800)
  const line = lineFor(what, random)
  const pause = Math.round(20 + random() * 280)
  return { afterMs: pause, what, pick: random(), ms, ...(line !== undefined && { line }) }
}

/** What a controller is told. */
function lineFor(what: string, random: () => number): string | undefined {
  const version = `v${1 + Math.floor(random() * 4)}`
  const shares = [[100], [10, 100], [50, 100], [1, 25, 60, 100], [0, 50, 100]][Math.floor(random() * 5)] ?? []
  switch (what) {
    case 'deploy':
    case 'doubleDeploy':
      return ['deploy', version, 30 + Math.floor(random() * 200), random() < 0.3 ? 150 : 0, ...shares].join(' ')
    case 'flap':
      return `flap ${1 + Math.floor(random() * 8)}`
    case 'absurd':
      return `absurd ${version}`
    case 'jump':
      return `jump ${Math.round((random() - 0.5) * 4 * 3_600_000)}`
    case 'rollback':
    case 'takeBack':
    case 'batches':
    case 'promote':
    case 'hold':
    case 'resume':
      return what
    default:
      return undefined
  }
}

export function weighted<T>(menu: readonly (readonly [T, number])[], random: () => number): T {
  let left = random() * menu.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [what, weight] of menu) {
    left -= weight
    if (left < 0) return what
  }
  return (menu[0] as readonly [T, number])[0]
}
